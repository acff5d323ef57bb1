package dimensions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/ab"
	"github.com/mortise-dev/mortise/dimjoin/hystrix"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// clusters is two stores with the same rows, each behind a breaker of its own.
type clusters struct {
	*ab.Table
	breakers [2]*hystrix.Breaker
}

// openClusters opens both sides of an ab store. One that cannot be reached is tried
// again with every read; it is no reason not to begin.
func (o *Options) openClusters(ctx context.Context, def *dimjoin.Definition, read *spec.DimensionRead) (dimjoin.Table, error) {
	var sides [2]dimjoin.Table
	for i, store := range def.Store.AB {
		side := *def
		side.Store = *store
		var err error
		if sides[i], err = o.openSoon(ctx, &side, nil); err != nil {
			err = fmt.Errorf("cluster %s: %w", ab.Side(i), err)
			if i == 1 {
				err = errors.Join(err, sides[0].Close())
			}
			return nil, err
		}
	}
	c := &clusters{}
	ao := ab.Options{Timeout: max(read.Timeout, time.Second), Now: o.Now}
	if o.Patient {
		ao.Timeout = patience
	}
	for i := range c.breakers {
		c.breakers[i] = hystrix.New(fmt.Sprintf("%s of cluster %s", def.Name, ab.Side(i)), breakerOptions(read))
		ao.Breakers[i] = c.breakers[i]
	}
	if err := ao.Validate(); err != nil {
		return nil, errors.Join(err, sides[0].Close(), sides[1].Close())
	}
	c.Table = ab.New(sides[0], sides[1], ao)
	return c, nil
}

// Close implements dimjoin.Table.
func (c *clusters) Close() error {
	err := c.Table.Close()
	for _, b := range c.breakers {
		b.Close()
	}
	return err
}
