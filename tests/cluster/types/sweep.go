package main

import (
	"encoding/json"
	"reflect"
	"slices"
)

// A place is where a value stands: a field of a struct, a key of a map, or an element of a list.
type place struct {
	// Keys, and nil for the first element of a list.
	path []*string
	of   reflect.Type
	// The elements of the lists on the way that have a name: how many keys lead to each.
	named []int
}

// sweep judges each two of the values that can stand at each place of the type, where nothing else is in the object.
func (judge *judge) sweep() error {
	return judge.visit(place{of: judge.layout.of})
}

func (judge *judge) visit(at place) error {
	if len(at.path) > 0 && judge.layout.compares(at) {
		if err := judge.place(at); err != nil {
			return err
		}
	}
	if wordOf(at.of) != "" {
		return nil
	}
	switch at.of.Kind() {
	case reflect.Pointer:
		return judge.below(at, at.of.Elem())
	default:
		return judge.below(at, at.of)
	}
}

// below visits the places in a value of a type that is no pointer.
func (judge *judge) below(at place, of reflect.Type) error {
	if wordOf(of) != "" {
		return nil
	}
	step := func(key *string, of reflect.Type) place {
		return place{path: append(slices.Clone(at.path), key), of: of, named: at.named}
	}
	switch of.Kind() {
	case reflect.Map:
		key := "x"
		return judge.visit(step(&key, of.Elem()))
	case reflect.Slice:
		element := step(nil, of.Elem())
		if element.of.Kind() == reflect.Struct && hasName(element.of) {
			element.named = append(slices.Clone(at.named), len(element.path))
		}
		return judge.below(element, of.Elem())
	case reflect.Pointer:
		return judge.below(at, of.Elem())
	case reflect.Struct:
		for _, field := range fieldsOf(of) {
			if err := judge.visit(step(&field.Name, field.Type)); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasName(of reflect.Type) bool {
	return slices.ContainsFunc(fieldsOf(of), func(field reflect.StructField) bool { return field.Name == "name" })
}

// compares is true for the places that the guard compares by their types.
func (layout layout) compares(at place) bool {
	if layout.within == nil {
		return true
	}
	return slices.ContainsFunc(layout.within, func(within []string) bool {
		return len(at.path) >= len(within) && slices.EqualFunc(within, at.path[:len(within)], func(name string, key *string) bool {
			return key != nil && *key == name
		})
	})
}

// place judges each two of the values that can stand at a place.
func (judge *judge) place(at place) error {
	sides := []*side{judge.read(judge.object(at, nil)), judge.read(judge.object(at, json.RawMessage("null")))}
	for _, text := range standIns(at.of) {
		sides = append(sides, judge.read(judge.object(at, json.RawMessage(text))))
	}
	for index, old := range sides {
		for _, new := range sides[:index] {
			if err := judge.judged(old, new); err != nil {
				return err
			}
		}
	}
	return nil
}

// object makes an object that has a value at a place, or none where it is nil.
func (judge *judge) object(at place, value any) any {
	for index := len(at.path) - 1; index >= 0; index-- {
		key := at.path[index]
		if key == nil {
			value = []any{value}
			continue
		}
		object := map[string]any{}
		if slices.Contains(at.named, index) {
			object["name"] = "n"
		}
		if index == 0 {
			object["apiVersion"], object["kind"] = judge.layout.apiVersion, judge.layout.kind
			object["metadata"] = map[string]any{"name": "n"}
		}
		if index == 1 && *at.path[0] == "metadata" {
			object["name"] = "n"
		}
		if value != nil {
			object[*key] = value
		} else {
			delete(object, *key)
		}
		value = object
	}
	return value
}
