package traffic

// clickModel gives an impression's click probability: CTR × how far down the
// list it stands × how good its item is, scaled so that the mean is CTR. All
// factors are Q16.
type clickModel struct {
	g      *Generator
	bias   [maxPositions + 1]int64 // by 1-based position
	mean   int64                   // of bias × quality over the traffic
	spread int64                   // pulls factors towards the mean where CTR is so high that the best would exceed 1
	scale  float64                 // probability of a factor of 2^-16
}

// biasExponent is how fast attention falls with the position, Q16: position^-0.7.
const biasExponent = 7 * one / 10

// calibrationRequests are drawn to find the mean factor to within about half a percent.
const calibrationRequests = 4096

func (g *Generator) newClickModel() clickModel {
	m := clickModel{g: g, spread: one}
	for p := 1; p <= maxPositions; p++ {
		m.bias[p] = int64(float64(power(uint64(p), biasExponent) * one))
	}
	var sum, count int64
	r := g.draw(forQuality, 1<<63)
	for range calibrationRequests {
		var items [maxPositions]uint32
		for i := range 1 + r.below(int64(g.opts.Positions)) {
			items[i] = g.pick(&r, items[:i])
			sum += m.factor(uint8(i+1), items[i])
			count++
		}
	}
	m.mean = max(1, sum/count)
	ctr := max(g.opts.CTR, 0)
	best := float64(m.bias[1]*7/4) / float64(m.mean)
	if room := 1/max(ctr, 1e-9) - 1; best-1 > room {
		m.spread = int64(float64(room/(best-1)) * one)
	}
	m.scale = float64(ctr*certain) / float64(m.mean)
	return m
}

// factor is bias × the item's quality, which is uniform in [0.25, 1.75).
func (m *clickModel) factor(position uint8, item uint32) int64 {
	r := m.g.draw(forQuality, uint64(item))
	return m.bias[position] * (one/4 + r.below(one*3/2)) >> 16
}

func (m *clickModel) chance(position uint8, item uint32) chance {
	if m.g.opts.CTR <= 0 {
		return 0
	}
	factor := m.mean + (m.factor(position, item)-m.mean)*m.spread>>16
	return chance(min(float64(m.scale*float64(factor)), certain))
}
