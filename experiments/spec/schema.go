package spec

import (
	"encoding/json"
	"strings"
)

// durationPattern and reference patterns let editors accept what the loader
// does: any value may also come from the environment, as ${NAME}.
const (
	envPattern      = `\$\{`
	durationPattern = `^\s*([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+\s*$|` + envPattern
	sizePattern     = `^\s*[0-9]+\s*(B|KB|MB|GB|KiB|MiB|GiB)?\s*$|` + envPattern
	typePattern     = `^\s*(string|int|float|bool|timestamp|\[\s*(string|int|float|bool|timestamp)\s*\])\??\s*$|` + envPattern
)

// object is a JSON object whose keys are written in a fixed order.
type object = map[string]any // encoding/json sorts the keys of maps

// Schema returns the JSON Schema (draft-07) of experiment files, made from the
// table of keys that the loader checks files against.
func Schema() []byte {
	defs := object{}
	root := blockSchema(experimentBlock, defs)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Mortise experiment"
	root["definitions"] = defs
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // the schema is made of strings, numbers and maps of them
	}
	return append(text, '\n')
}

func blockSchema(b *block, defs object) object {
	properties, required := object{}, []string{}
	for _, k := range b.keys {
		properties[k.name] = keySchema(&k, defs)
		if k.required {
			required = append(required, k.name)
		}
	}
	out := object{"type": "object", "description": b.doc, "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func keySchema(k *key, defs object) object {
	doc := k.doc
	out := shapeSchema(k.shape, defs)
	if _, isRef := out["$ref"]; isRef {
		out = object{"allOf": []any{out}} // draft-07 ignores what stands beside $ref
	}
	if k.def != "" {
		out["default"] = defaultValue(k)
		doc += " Default: " + k.def + "."
	}
	out["description"] = doc
	return out
}

// defaultValue writes a default as the type that it has in JSON.
func defaultValue(k *key) any {
	switch k.shape.kind {
	case anyBool:
		return k.def == "true"
	case anyInt, anyNumber:
		return json.Number(k.def)
	case listOf:
		return strings.Split(strings.Trim(k.def, "[]"), ", ")
	}
	return k.def
}

func shapeSchema(s *shape, defs object) object {
	switch s.kind {
	case anyBool:
		return orEnv(object{"type": "boolean"})
	case anyInt:
		return orEnv(object{"type": "integer", "minimum": s.min})
	case anyNumber:
		return orEnv(object{"type": "number"})
	case aDuration:
		return object{"type": "string", "pattern": durationPattern}
	case aSize:
		return object{"type": []string{"string", "integer"}, "pattern": sizePattern}
	case aType:
		return object{"type": "string", "pattern": typePattern}
	case anExpression:
		return object{"type": []string{"string", "number", "boolean"}}
	case oneOf:
		return enumSchema(s.enum)
	case experimentName, identifier, sourceName, topicName, fieldPath:
		return object{"type": "string", "pattern": nameRules[s.kind].pattern.String() + "|" + envPattern}
	case listOf:
		return object{"type": "array", "items": shapeSchema(s.elem, defs)}
	case dictOf:
		return object{"type": "object", "additionalProperties": shapeSchema(s.elem, defs), "propertyNames": object{"pattern": nameRules[s.name].pattern.String()}}
	case aBlock:
		return refTo(s.block, defs)
	case either:
		alts := make([]any, len(s.alts))
		for i, alt := range s.alts {
			alts[i] = shapeSchema(alt, defs)
		}
		return object{"anyOf": alts}
	}
	return object{"type": "string", "minLength": 1}
}

func enumSchema(values []string) object {
	all := []any{}
	for _, v := range values {
		all = append(all, v)
		if v == "null" {
			all = append(all, nil)
		}
	}
	return object{"anyOf": []any{object{"enum": all}, object{"type": "string", "pattern": envPattern}}}
}

func orEnv(s object) object {
	return object{"anyOf": []any{s, object{"type": "string", "pattern": envPattern}}}
}

// refTo puts a block among the definitions, once, and refers to it.
func refTo(b *block, defs object) object {
	name := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(b.name, "a "), "the "), " ", "_")
	if b == outputTopicBlock {
		name = "output_topic"
	}
	if _, done := defs[name]; !done {
		defs[name] = true // a store refers to itself
		defs[name] = blockSchema(b, defs)
	}
	return object{"$ref": "#/definitions/" + name}
}
