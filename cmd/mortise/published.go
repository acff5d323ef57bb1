package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// published remembers, beside the embedded broker's log, which files have been
// published to which topic, so that running the same command again publishes
// none of them twice: those that are done not at all, those that a kill cut
// short from where it cut them.
type published struct {
	path    string
	Streams []publishedStream `json:"streams"`
}

// publishedStream is the files of one topic in one run.
type publishedStream struct {
	Topic string          `json:"topic"`
	Files []publishedFile `json:"files"`
	From  []int64         `json:"from"` // each partition's end before
	Done  bool            `json:"done"`
}

type publishedFile struct {
	Path      string    `json:"path"`
	SizeBytes int64     `json:"size_bytes"`
	Modified  time.Time `json:"modified"`
}

func openPublished(dir string) (*published, error) {
	p := &published{path: filepath.Join(dir, "published.json")}
	text, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what has been published: %w", err)
	}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("reading %s: %w; remove it to publish all inputs again", p.path, err)
	}
	return p, nil
}

func (p *published) save() error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	aside := p.path + ".new"
	if err := os.WriteFile(aside, append(text, '\n'), 0o666); err != nil {
		return fmt.Errorf("noting what was published: %w", err)
	}
	return os.Rename(aside, p.path)
}

// identify says which state of the files would be published; nil when one has
// none, such as the standard input.
func identify(in *recorded.Files) []publishedFile {
	var files []publishedFile
	for _, info := range in.Infos() {
		if info.SizeBytes < 0 {
			return nil
		}
		path := info.Path
		if !strings.Contains(path, "://") {
			abs, err := filepath.Abs(path)
			if err != nil {
				return nil
			}
			path = abs
		}
		files = append(files, publishedFile{path, info.SizeBytes, info.Modified.UTC().Round(0)})
	}
	return files
}

// done reports whether all files have been published to the topic as they are now.
func (p *published) done(topic string, files []publishedFile) bool {
	for _, f := range files {
		known := false
		for i := range p.Streams {
			s := &p.Streams[i]
			known = known || s.Done && s.Topic == topic && slices.Contains(s.Files, f)
		}
		if !known {
			return false
		}
	}
	return len(files) > 0
}

// begun returns what was begun to be published to the topic and not ended; nil
// when nothing was.
func (p *published) begun(topic string) *publishedStream {
	for i := range p.Streams {
		if s := &p.Streams[i]; s.Topic == topic && !s.Done {
			return s
		}
	}
	return nil
}

// forget drops all that is known of the topics.
func (p *published) forget(topics []string) {
	p.Streams = slices.DeleteFunc(p.Streams, func(s publishedStream) bool { return slices.Contains(topics, s.Topic) })
}

// unpublished returns the recording if anything of it is left to be published,
// else nil, with its files closed.
func (rec *recording) unpublished(ctx context.Context, cl *cluster, again bool) (*recording, error) {
	if rec == nil {
		return nil, nil
	}
	left, err := rec.settle(ctx, cl, again)
	if err != nil || !left {
		return nil, errors.Join(err, rec.merged.Close())
	}
	return rec, nil
}

// settle finds out what of the recording the embedded broker has already, and
// reports whether anything is left to be published. A real broker is not asked:
// what is in its topics came from others too.
func (rec *recording) settle(ctx context.Context, cl *cluster, again bool) (left bool, err error) {
	if cl.embedded == "" {
		return true, nil
	}
	p, err := openPublished(cl.embedded)
	if err != nil {
		return false, err
	}
	if again {
		p.forget(rec.topics)
	}
	rec.journal = p
	done := 0
	for i, topic := range rec.topics {
		files := identify(rec.files[i])
		begun := p.begun(topic)
		switch {
		case begun != nil && !slices.Equal(begun.Files, files):
			return false, fmt.Errorf("an earlier run was ended while it published other files, or these as they were then, to %s: publish those to the end first, "+
				"start anew with another --embedded directory, or publish everything again with --republish", topic)
		case begun != nil:
			if err := rec.resumeFrom(ctx, cl, topic, begun.From); err != nil {
				return false, err
			}
		case p.done(topic, files):
			done++
		case files != nil:
			p.Streams = append(p.Streams, publishedStream{Topic: topic, Files: files})
		}
	}
	if done == len(rec.topics) {
		return false, nil
	}
	if done > 0 {
		return false, fmt.Errorf("some of the inputs have been published to %s before and some not: publishing the rest now would bring it late; "+
			"start anew with another --embedded directory, or publish everything again with --republish", cl.embedded)
	}
	return true, rec.begin(ctx, cl)
}

// resumeFrom reads what a run that was cut short has published to topic.
func (rec *recording) resumeFrom(ctx context.Context, cl *cluster, topic string, from []int64) error {
	there, err := kafka.ReadPublished(ctx, cl.Connection, topic, from)
	if err != nil {
		return err
	}
	if rec.resume == nil {
		rec.resume = map[string][]kafka.Published{}
	}
	rec.resume[topic] = there
	return nil
}

// begin notes where the topics end before anything is published.
func (rec *recording) begin(ctx context.Context, cl *cluster) error {
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	ends, err := admin.Ends(ctx, rec.topics...)
	if err != nil {
		return fmt.Errorf("asking where %s end: %w", strings.Join(rec.topics, ", "), err)
	}
	for i := range rec.journal.Streams {
		s := &rec.journal.Streams[i]
		if s.Done || s.From != nil {
			continue
		}
		for p := int32(0); ; p++ {
			end, ok := ends[experiments.TopicPartition{Topic: s.Topic, Partition: p}]
			if !ok {
				break
			}
			s.From = append(s.From, end)
		}
	}
	return rec.journal.save()
}

// finish notes that all is published.
func (rec *recording) finish() error {
	if rec.journal == nil {
		return nil
	}
	for i := range rec.journal.Streams {
		if s := &rec.journal.Streams[i]; slices.Contains(rec.topics, s.Topic) {
			s.Done = true
		}
	}
	return rec.journal.save()
}
