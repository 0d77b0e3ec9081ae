package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// The values that stand in for all others of a type with a word of its own. Some are the same, spelled otherwise.
var spellings = map[string][]string{
	"string":      {`""`, `"a"`, `"b"`},
	"bool":        {`false`, `true`},
	"int":         {`0`, `1`, `2`},
	"float":       {`0`, `0.0`, `1`, `1.0`, `1.5`},
	"quantity":    {`"0"`, `0`, `"0m"`, `"1"`, `1`, `"1000m"`, `1.0`, `"1e0"`, `"1Gi"`, `"1024Mi"`, `"500m"`, `0.5`},
	"time":        {`"0001-01-01T00:00:00Z"`, `"2026-01-02T03:04:05Z"`, `"2026-01-02T04:04:05+01:00"`, `"2026-01-02T03:04:06Z"`},
	"microtime":   {`"2026-01-02T03:04:05.000000Z"`, `"2026-01-02T04:04:05.000000+01:00"`},
	"duration":    {`"0s"`, `"1m0s"`, `"60s"`},
	"intOrString": {`0`, `""`, `1`, `"1"`, `"50%"`},
	"bytes":       {`""`, `"AA=="`},
	"any":         {`{}`, `{"a":1}`},
}

// What is known of a type: the fields that JSON has of a struct, its word, and its values.
var (
	fieldsOf func(reflect.Type) []reflect.StructField
	wordOf   func(reflect.Type) string
	standIns func(reflect.Type) []string
)

// They call each other.
func init() {
	fieldsOf, wordOf, standIns = remembered(findFields), remembered(findWord), remembered(makeStandIns)
}

// findWord gives the word of a type that is no struct, list, map or pointer, or nothing.
func findWord(of reflect.Type) string {
	if _, found := words[of]; !found && !reflect.PointerTo(of).Implements(unmarshaler) {
		switch of.Kind() {
		case reflect.Struct, reflect.Pointer, reflect.Slice, reflect.Map:
			return ""
		}
	}
	word, err := (&Table{}).word(of)
	if err != nil {
		panic(err)
	}
	return word
}

// makeStandIns gives a type's values, without null.
func makeStandIns(of reflect.Type) []string {
	if word := wordOf(of); word != "" {
		return spellings[word]
	}
	switch of.Kind() {
	case reflect.Pointer:
		return standIns(of.Elem())
	case reflect.Slice:
		zero, real := zero(of.Elem()), real(of.Elem())
		return []string{`[]`, `[null]`, "[" + zero + "]", "[" + real + "]", "[" + real + "," + zero + "]"}
	case reflect.Map:
		zero, real := zero(of.Elem()), real(of.Elem())
		return []string{`{}`, `{"x":null}`, `{"x":` + zero + `}`, `{"x":` + real + `}`}
	default:
		var nulls, zeros []string
		for _, field := range fieldsOf(of) {
			nulls = append(nulls, fmt.Sprintf("%q:null", field.Name))
			zeros = append(zeros, fmt.Sprintf("%q:%s", field.Name, zero(field.Type)))
		}
		object := func(members []string) string { return "{" + strings.Join(members, ",") + "}" }
		return []string{`{}`, object(nulls), object(zeros), real(of)}
	}
}

// zero gives a value that is Go's zero where the type holds it by value.
func zero(of reflect.Type) string {
	switch wordOf(of) {
	case "":
		switch of.Kind() {
		case reflect.Pointer:
			return `null`
		case reflect.Slice:
			return `[]`
		default:
			return `{}`
		}
	case "microtime", "any":
		return `null`
	default:
		return standIns(of)[0]
	}
}

// real gives a value that is not Go's zero.
func real(of reflect.Type) string {
	switch wordOf(of) {
	case "":
		switch of.Kind() {
		case reflect.Pointer:
			return real(of.Elem())
		case reflect.Slice:
			return "[" + real(of.Elem()) + "]"
		case reflect.Map:
			return `{"x":` + real(of.Elem()) + `}`
		default:
			fields := fieldsOf(of)
			if len(fields) == 0 {
				return `{}`
			}
			return fmt.Sprintf("{%q:%s}", fields[0].Name, real(fields[0].Type))
		}
	case "microtime":
		return spellings["microtime"][0]
	case "quantity":
		return `"1"`
	default:
		return standIns(of)[1]
	}
}

// A value as encoding/json has it, made from its text.
func tree(text []byte) any {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		panic(err)
	}
	return tree
}
