package main

import (
	"reflect"
	"slices"
	"strings"
)

// findFields gives the fields that JSON has of a struct.
func findFields(of reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for _, field := range reflect.VisibleFields(of) {
		name, inline := jsonName(field)
		if len(field.Index) > 1 || !field.IsExported() || name == "-" {
			continue
		}
		if inline {
			for _, inner := range findFields(field.Type) {
				inner.Index = append(slices.Clone(field.Index), inner.Index...)
				fields = append(fields, inner)
			}
		} else {
			field.Name = name
			fields = append(fields, field)
		}
	}
	return fields
}

// jsonName gives a field's name in JSON, and whether its own fields stand in its place.
func jsonName(field reflect.StructField) (string, bool) {
	tag := field.Tag.Get("json")
	name, _, _ := strings.Cut(tag, ",")
	if tag == "-" {
		return "-", false
	}
	if name == "" {
		return field.Name, field.Anonymous
	}
	return name, false
}

// remembered keeps what a function gave for a type: reflection is slow, and asked for the same types all the time.
func remembered[T any](give func(reflect.Type) T) func(reflect.Type) T {
	given := map[reflect.Type]T{}
	return func(of reflect.Type) T {
		value, found := given[of]
		if !found {
			value = give(of)
			given[of] = value
		}
		return value
	}
}
