package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
)

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// differing gives the paths of the smallest fields that differ, in the guard's notation.
func differing(old, new reflect.Value, at string) []string {
	if equality.Semantic.DeepEqual(old.Interface(), new.Interface()) {
		return nil
	}
	if wordOf(old.Type()) != "" {
		return []string{at}
	}
	var paths []string
	switch old.Kind() {
	case reflect.Struct:
		for _, field := range fieldsOf(old.Type()) {
			below := key(at, field.Name)
			paths = append(paths, differing(old.FieldByIndex(field.Index), new.FieldByIndex(field.Index), below)...)
		}
		return paths
	case reflect.Pointer:
		if !old.IsNil() && !new.IsNil() {
			return differing(old.Elem(), new.Elem(), at)
		}
	case reflect.Map:
		keys := map[string]reflect.Value{}
		for _, key := range slices.Concat(old.MapKeys(), new.MapKeys()) {
			keys[key.String()] = key
		}
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			oldElement, newElement := old.MapIndex(keys[name]), new.MapIndex(keys[name])
			if oldElement.IsValid() && newElement.IsValid() {
				paths = append(paths, differing(oldElement, newElement, key(at, name))...)
			} else {
				paths = append(paths, key(at, name))
			}
		}
		return paths
	case reflect.Slice:
		return differingElements(old, new, at)
	}
	return []string{at}
}

// differingElements aligns the elements of two lists by their names, or by index where their number is the same.
func differingElements(old, new reflect.Value, at string) []string {
	if old.Type().Elem().Kind() != reflect.Struct {
		return []string{at}
	}
	oldNames, newNames := names(old), names(new)
	var paths []string
	if len(oldNames) > 0 && len(newNames) > 0 {
		var oldOrder, newOrder []string
		for index, name := range oldNames {
			other := slices.Index(newNames, name)
			if other < 0 {
				paths = append(paths, named(at, name))
				continue
			}
			oldOrder = append(oldOrder, name)
			paths = append(paths, differing(old.Index(index), new.Index(other), named(at, name))...)
		}
		for _, name := range newNames {
			if slices.Contains(oldNames, name) {
				newOrder = append(newOrder, name)
			} else {
				paths = append(paths, named(at, name))
			}
		}
		if !slices.Equal(oldOrder, newOrder) {
			paths = append(paths, at)
		}
		return paths
	}
	if old.Len() != new.Len() {
		return []string{at}
	}
	for index := range old.Len() {
		paths = append(paths, differing(old.Index(index), new.Index(index), fmt.Sprintf("%s[%d]", at, index))...)
	}
	return paths
}

// names gives the elements' names, or none where they do not all have one of their own.
func names(list reflect.Value) []string {
	var names []string
	for index := range list.Len() {
		name := list.Index(index).FieldByName("Name")
		if !name.IsValid() || name.Kind() != reflect.String || name.Len() == 0 || slices.Contains(names, name.String()) {
			return nil
		}
		names = append(names, name.String())
	}
	return names
}

func key(at, key string) string {
	switch {
	case !identifier.MatchString(key):
		return fmt.Sprintf("%s[%s]", at, key)
	case at == "":
		return key
	default:
		return at + "." + key
	}
}

func named(at, name string) string {
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(name); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s[name=%s]", at, bytes.TrimSpace(quoted.Bytes()))
}
