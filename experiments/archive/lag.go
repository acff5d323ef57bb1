package archive

import "time"

// lag tells how long what is not archived yet has been waiting, by when the
// partition was first seen to reach so far. What lay there before the first look
// waits since then.
type lag struct {
	seen  []sighting
	every time.Duration // between two sightings
}

// sighting is a partition's end, and when it was first seen there.
type sighting struct {
	end int64
	at  time.Time
}

const (
	sightEvery = time.Second
	maxSights  = 512
)

// sight takes note of where the partition ends now, and of how far it is archived.
func (l *lag) sight(end, archived int64, now time.Time) {
	n := 0
	for n < len(l.seen) && l.seen[n].end <= archived {
		n++
	}
	l.seen = l.seen[:copy(l.seen, l.seen[n:])]
	if len(l.seen) == 0 {
		l.every = sightEvery
	}
	if last := len(l.seen) - 1; end <= archived || last >= 0 && (l.seen[last].end >= end || now.Sub(l.seen[last].at) < l.every) {
		return
	}
	if len(l.seen) == maxSights { // half as fine
		for i := range maxSights / 2 {
			l.seen[i] = l.seen[2*i]
		}
		l.seen, l.every = l.seen[:maxSights/2], 2*l.every
	}
	l.seen = append(l.seen, sighting{end, now})
}

// waiting returns how long the oldest record has been waiting.
func (l *lag) waiting(now time.Time) time.Duration {
	if len(l.seen) == 0 {
		return 0
	}
	return max(now.Sub(l.seen[0].at), 0)
}
