package traffic

import "fmt"

// payload pads impressions with the fields that ranking logs are full of:
// request context that repeats from record to record, model features (some from
// few values, some random), ids of recent items. A page of such records
// compresses about as real ones do (3–4 times).
type payload struct {
	context  [8][]string // per field, its possible `,"name":"value"`
	features [][]string  // per feature, its common `"name":value,`
}

func newPayload() payload {
	var p payload
	for i, f := range []struct {
		name   string
		values []string
	}{
		{"device", []string{"android", "ios", "desktop", "tablet"}},
		{"app", []string{"shop/8.14.2", "shop/8.13.0", "web", "shop/8.9.1"}},
		{"country", []string{"DE", "US", "JP", "BR", "IN", "FR", "GB", "KE"}},
		{"surface", []string{"home_feed", "search", "related_items", "cart"}},
		{"locale", []string{"de-DE", "en-US", "ja-JP", "pt-BR"}},
		{"network", []string{"wifi", "4g", "5g", "ethernet"}},
		{"ranker", []string{"two-tower-2025-11-02", "two-tower-2025-12-14"}},
		{"bucket", []string{"control", "treatment-a", "treatment-b"}},
	} {
		for _, v := range f.values {
			p.context[i] = append(p.context[i], fmt.Sprintf(`,"%s":"%s"`, f.name, v))
		}
	}
	for _, name := range []string{"ctr_1d", "ctr_7d", "ctr_28d", "seg_ctr_7d", "dwell_avg", "price_rank", "freshness", "brand_affinity",
		"cat_affinity", "ann_score", "popularity", "stock", "discount", "return_rate", "novelty", "session_depth"} {
		var values []string
		for v := range 12 {
			values = append(values, fmt.Sprintf(`"%s":%s,`, name, []string{"0", "0.5", "1", fmt.Sprintf("0.%04d", v*v*61+len(name))}[min(v, 3)]))
		}
		p.features = append(p.features, values)
	}
	return p
}

// pad appends fields until the line and the closing brace are sizeBytes long;
// a line that is that long already stays as it is.
func (p *payload) pad(line []byte, r *random, sizeBytes int) []byte {
	end := sizeBytes - 1 // of the line without its brace
	u := r.next()
	for i, values := range p.context {
		v := values[(u>>(8*i)&0xff)*uint64(len(values))>>8]
		if len(line)+len(v) > end {
			break
		}
		line = append(line, v...)
	}
	line = p.padFeatures(line, r, end)
	line = padRecent(line, r, end)
	return padExactly(line, r, end)
}

// listReserve is room for the longest element of a list and its brackets.
const listReserve = 40

func (p *payload) padFeatures(line []byte, r *random, end int) []byte {
	if end-len(line) < 100 {
		return line
	}
	line = append(line, `,"features":{`...)
	for i := 0; i < len(p.features) && end-len(line) > listReserve; i++ {
		u := r.next()
		values := p.features[i]
		v := values[u&0xffff*uint64(len(values))>>16]
		if u>>63 == 0 { // as it is
			line = append(line, v...)
			continue
		}
		for v[len(v)-1] != ':' { // the name, then a random value
			v = v[:len(v)-1]
		}
		line = append(line, v...)
		line = append(line, '0', '.')
		line = appendDigits(line, u>>16&0xffffffff*1_000_000>>32, 6)
		line = append(line, ',')
	}
	line[len(line)-1] = '}'
	return line
}

// padRecent fills what is left with ids of recent items.
func padRecent(line []byte, r *random, end int) []byte {
	if end-len(line) < 60 {
		return line
	}
	line = append(line, `,"recent":[`...)
	for end-len(line) > listReserve {
		u := r.next()
		for range 3 {
			line = appendDigits(append(line, `"item-`...), 10_000+u&0x3fff, 5)
			line = append(line, `",`...)
			u >>= 16
			if end-len(line) <= listReserve {
				break
			}
		}
	}
	line[len(line)-1] = ']'
	return line
}

// padExactly makes up the rest: a trace id, or, where there is no room for
// one, white space.
func padExactly(line []byte, r *random, end int) []byte {
	const name = `,"trace":"`
	if end-len(line) > len(name) {
		line = append(line, name...)
		for len(line) < end-1 {
			line = append(line, hexDigits[r.next()>>60])
		}
		return append(line, '"')
	}
	for len(line) < end {
		line = append(line, ' ')
	}
	return line
}

// appendDigits appends the last count decimal digits of n.
func appendDigits(dst []byte, n uint64, count int) []byte {
	dst = append(dst, "0000000000"[:count]...)
	for i := len(dst) - 1; count > 0; count-- {
		dst[i] = byte('0' + n%10)
		n /= 10
		i--
	}
	return dst
}
