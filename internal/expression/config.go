package expression

import (
	"strings"

	mortise "github.com/mortise-dev/mortise"

	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/types"
)

// Lists are handed to the engine as Go slices of these.
var engineTypes = map[mortise.Kind]types.Type{
	mortise.String:    types.String,
	mortise.Int:       types.Int,
	mortise.Float:     types.Float64,
	mortise.Bool:      types.Bool,
	mortise.Timestamp: types.Int,
}

var engineLists = map[mortise.Kind]types.Type{
	mortise.String:    types.TypeOf([]string{}),
	mortise.Int:       types.TypeOf([]int{}),
	mortise.Float:     types.TypeOf([]float64{}),
	mortise.Bool:      types.TypeOf([]bool{}),
	mortise.Timestamp: types.TypeOf([]int{}),
}

func engineType(t mortise.Type) types.Type {
	if t.Kind == mortise.List {
		return engineLists[t.Elem]
	}
	return engineTypes[t.Kind]
}

// typedConfig is for what the user wrote: precise types, known functions only.
// A field such as item.brand is seen as brand inside item.
func typedConfig(env mortise.Schema) *conf.Config {
	fields := types.Map{}
	for _, f := range env {
		group, name, dotted := strings.Cut(f.Name, ".")
		if !dotted {
			fields[f.Name] = engineType(f.Type)
			continue
		}
		if _, ok := fields[group].(types.Map); !ok {
			fields[group] = types.Map{}
		}
		fields[group].(types.Map)[name] = engineType(f.Type)
	}
	config := baseConfig(fields)
	for name := range refusedFunctions {
		config.Disabled[name] = true
		delete(config.Builtins, name)
	}
	return config
}

// nullableConfig is for what lowering made of it.
func nullableConfig(env mortise.Schema) *conf.Config {
	fields := types.Map{}
	for _, f := range env {
		if fields[f.Name] = engineType(f.Type); f.Type.Nullable {
			fields[f.Name] = types.Any
		}
	}
	config := baseConfig(fields)
	config.MaxNodes = 0 // bounded already; lowering adds a few nodes for each
	for name, fn := range boundedFunctions {
		config.Functions[name] = fn
	}
	return config
}

func baseConfig(fields types.Map) *conf.Config {
	config := conf.CreateNew()
	config.WithEnv(fields)
	config.Strict = true
	config.MaxNodes = maxNodes
	return config
}
