package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/resource"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// How seldom a random object has what it need not have. More of it makes objects larger, and no other.
const nilChance = 0.8

// random judges random objects, always the same ones: each as some client wrote it and as a typed client writes it back, and
// each before and after an edit.
func (judge *judge) random(count int) error {
	source := rand.New(rand.NewSource(1))
	codecs := serializer.NewCodecFactory(runtime.NewScheme())
	filler := fuzzer.FuzzerFor(metafuzzer.Funcs, source, codecs).NilChance(nilChance).NumElements(1, 2)
	fill := func(object any) {
		switch filler := any(filler).(type) {
		case interface{ Fill(any) }:
			filler.Fill(object)
		// In Kubernetes before 1.33.
		case interface{ Fuzz(any) }:
			filler.Fuzz(object)
		}
	}
	for range count {
		filled := reflect.New(judge.layout.of)
		fill(filled.Interface())
		object := tree(text(filled.Interface())).(map[string]any)
		object["apiVersion"], object["kind"] = judge.layout.apiVersion, judge.layout.kind

		for range source.Intn(8) {
			respell(places(object, judge.layout.of), source)
		}
		written := judge.read(object)
		if written == nil {
			return fmt.Errorf("cannot read back %s", text(object))
		}
		if err := judge.judged(written, judge.read(written.object.Interface())); err != nil {
			return err
		}

		for range 1 + source.Intn(2) {
			edit(places(object, judge.layout.of), source)
		}
		if err := judge.judged(written, judge.read(object)); err != nil {
			return err
		}
	}
	return nil
}

// A spot is a place in an object that is there.
type spot struct {
	of reflect.Type
	// The value, or nil where there is none.
	value any
	// Puts another value there, or takes it away.
	put func(any)
	// An element of a list or the key of a map, which are there or not.
	counts bool
}

// places gives the places of an object, those of its structs' absent fields included.
func places(object any, of reflect.Type) []spot {
	var spots []spot
	add := func(spot spot) {
		spots = append(spots, spot)
		if spot.value != nil {
			spots = append(spots, places(spot.value, spot.of)...)
		}
	}
	if of.Kind() == reflect.Pointer {
		return places(object, of.Elem())
	}
	if wordOf(of) != "" {
		return nil
	}
	switch value := object.(type) {
	case []any:
		for index, element := range value {
			add(spot{of: of.Elem(), value: element, put: func(other any) { value[index] = other }, counts: true})
		}
	case map[string]any:
		put := func(name string) func(any) {
			return func(other any) {
				if other == nil {
					delete(value, name)
				} else {
					value[name] = other
				}
			}
		}
		if of.Kind() == reflect.Map {
			for _, name := range slices.Sorted(maps.Keys(value)) {
				add(spot{of: of.Elem(), value: value[name], put: put(name), counts: true})
			}
			return spots
		}
		for _, field := range fieldsOf(of) {
			add(spot{of: field.Type, value: value[field.Name], put: put(field.Name)})
		}
	}
	return spots
}

// candidates gives values that can stand at a place instead of what does.
func (spot spot) candidates() []any {
	candidates := []any{json.RawMessage("null")}
	for _, text := range standIns(spot.of) {
		candidates = append(candidates, tree([]byte(text)))
	}
	if !spot.counts {
		candidates = append(candidates, nil)
	}
	switch value := spot.value.(type) {
	case []any:
		candidates = append(candidates, value[:max(len(value)-1, 0)])
		if len(value) > 1 {
			candidates = append(candidates, append(slices.Clone(value[1:]), value[0]))
		}
	case string:
		candidates = append(candidates, otherSpellings(wordOf(spot.elem()), value)...)
	}
	return candidates
}

func (spot spot) elem() reflect.Type {
	if spot.of.Kind() == reflect.Pointer {
		return spot.of.Elem()
	}
	return spot.of
}

// otherSpellings gives other texts for a value.
func otherSpellings(word, value string) []any {
	switch word {
	case "quantity":
		quantity, err := resource.ParseQuantity(value)
		if err != nil {
			return nil
		}
		number := quantity.AsDec().String()
		return []any{json.Number(strings.TrimPrefix(number, "+")), number, number + "000m"}
	case "time":
		time, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return nil
		}
		return []any{inZone(time, 2), inZone(time, -8)}
	}
	return nil
}

func inZone(moment time.Time, hours int) string {
	return moment.In(time.FixedZone("", hours*60*60)).Format(time.RFC3339)
}

// respell writes one place otherwise: the same to equality.Semantic.
func respell(spots []spot, source *rand.Rand) {
	for range 20 {
		spot := spots[source.Intn(len(spots))]
		candidates := spot.candidates()
		candidate := candidates[source.Intn(len(candidates))]
		if same(spot.of, message(spot.value), message(candidate)) {
			spot.put(candidate)
			return
		}
	}
}

// edit puts something else into a place, which need not mean anything else.
func edit(spots []spot, source *rand.Rand) {
	spot := spots[source.Intn(len(spots))]
	candidates := spot.candidates()
	spot.put(candidates[source.Intn(len(candidates))])
}

func message(value any) json.RawMessage {
	if value == nil {
		return nil
	}
	return text(value)
}
