package features

import mortise "github.com/mortise-dev/mortise"

// cache keeps results. As reads go on in time, so do the tiles that they ask for:
// what has not been asked for while half of most results came in goes.
type cache struct {
	most       int
	young, old map[string]mortise.Row
}

func (c *cache) get(key []byte) mortise.Row {
	if v, ok := c.young[string(key)]; ok {
		return v
	}
	v, ok := c.old[string(key)]
	if !ok {
		return nil
	}
	c.put(string(key), v)
	return v
}

func (c *cache) put(key string, v mortise.Row) {
	if c.young == nil || len(c.young) >= (c.most+1)/2 {
		c.old, c.young = c.young, make(map[string]mortise.Row, len(c.young))
	}
	c.young[key] = v
}
