package redis

import (
	"context"
	"errors"
	"unsafe"

	"github.com/redis/go-redis/v9"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

func newLayout(name string, def *dimjoin.Definition) (layout, error) {
	if name == LayoutPacked {
		packing, err := dimjoin.NewPacking(def.Fields)
		return &packed{packing}, err
	}
	return &hash{def.Fields, def.Fields.Names()}, nil
}

// packed is a row as one string.
type packed struct{ *dimjoin.Packing }

func (*packed) ask(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder {
	return p.Get(ctx, key)
}

func (k *packed) answer(cmd redis.Cmder, l *dimjoin.Lookup) {
	value, err := cmd.(*redis.StringCmd).Bytes()
	if err == nil {
		l.Row, err = k.Read(value)
	}
	if err != nil {
		l.Row, l.Err = nil, err
	}
}

func (*packed) confirm(context.Context, *Table, string, []*dimjoin.Lookup) (bool, error) {
	return false, nil
}

func (k *packed) put(ctx context.Context, p redis.Pipeliner, key string, r *dimjoin.Record) {
	if r.Row == nil {
		p.Unlink(ctx, key)
		return
	}
	p.Set(ctx, key, k.Append(nil, r.Row), 0)
}

// hash is a row as a hash of texts (dimjoin.ParseText). A field that it lacks is null.
type hash struct {
	fields mortise.Schema
	names  []string
}

// rowField stands in hashes whose fields are all null, which Redis would not keep.
const rowField = "@row"

func (h *hash) ask(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder {
	return p.HMGet(ctx, key, h.names...)
}

func (h *hash) answer(cmd redis.Cmder, l *dimjoin.Lookup) {
	found := cmd.(*redis.SliceCmd).Val()
	size, there := 0, false
	for _, v := range found {
		if text, ok := v.(string); ok {
			size, there = size+len(text), true
		}
	}
	if !there {
		return
	}
	if size > dimjoin.MaxRowBytes {
		l.Err = dimjoin.ErrTooLarge(size)
		return
	}
	row := make(mortise.Row, len(h.fields))
	for i := range row {
		f := &h.fields[i]
		row[i] = mortise.NullValue()
		if text, ok := found[i].(string); ok {
			if row[i], ok = dimjoin.ParseText(f.Type, unsafe.Slice(unsafe.StringData(text), len(text))); !ok { // which nobody changes
				l.Err = errors.New("field " + f.Name + " is the text " + dimjoin.Excerpt([]byte(text)) + ", and " + f.Type.String() + " is declared")
				return
			}
		}
	}
	if l.Err = dimjoin.FitRow(h.fields, row); l.Err == nil {
		l.Row = row
	}
}

// confirm asks which keys are there: a row of nulls looks like none.
func (h *hash) confirm(ctx context.Context, t *Table, version string, none []*dimjoin.Lookup) (again bool, err error) {
	if len(none) == 0 {
		return false, nil
	}
	asked, again, err := t.ask(ctx, version, none, func(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder { return p.Exists(ctx, key) })
	if again || err != nil {
		return again, err
	}
	for i, cmd := range asked {
		there, err := cmd.(*redis.IntCmd).Result()
		if err != nil {
			return false, err
		}
		if there == 0 {
			continue
		}
		row := make(mortise.Row, len(h.fields))
		for i := range row {
			row[i] = mortise.NullValue()
		}
		if none[i].Err = dimjoin.FitRow(h.fields, row); none[i].Err == nil {
			none[i].Row = row
		}
	}
	return false, nil
}

// putHash takes the place of a hash at once: no reader sees half of it.
const putHash = `redis.call('UNLINK', KEYS[1]) redis.call('HSET', KEYS[1], unpack(ARGV)) return 1`

func (h *hash) put(ctx context.Context, p redis.Pipeliner, key string, r *dimjoin.Record) {
	if r.Row == nil {
		p.Unlink(ctx, key)
		return
	}
	var args []any
	for i, v := range r.Row {
		if !v.IsNull() {
			args = append(args, h.fields[i].Name, dimjoin.AppendText([]byte{}, v))
		}
	}
	if len(args) == 0 {
		args = append(args, rowField, "")
	}
	p.Eval(ctx, putHash, []string{key}, args...)
}
