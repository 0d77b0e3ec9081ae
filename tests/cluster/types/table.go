package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	kubeflow "github.com/kubeflow/training-operator/pkg/apis/kubeflow.org/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"pytorchjob-guard/types/cci"
)

// Table is the file that the guard reads.
type Table struct {
	Sources map[string]string            `json:"sources"`
	Roots   Roots                        `json:"roots"`
	Types   map[string]map[string]string `json:"types"`

	// The structs whose fields are in Types.
	seen map[reflect.Type]bool
}

// Roots are the types that a walk begins with.
type Roots struct {
	Kinds           map[string]string `json:"kinds"`
	ObjectMeta      string            `json:"objectMeta"`
	PodTemplateSpec string            `json:"podTemplateSpec"`
}

// The types that are one word in the table, because JSON has one value for them and not their fields.
var words = map[reflect.Type]string{
	reflect.TypeFor[resource.Quantity]():  "quantity",
	reflect.TypeFor[metav1.Time]():        "time",
	reflect.TypeFor[metav1.MicroTime]():   "microtime",
	reflect.TypeFor[metav1.Duration]():    "duration",
	reflect.TypeFor[intstr.IntOrString](): "intOrString",
	reflect.TypeFor[[]byte]():             "bytes",
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// The modules that the table is generated from.
var sources = []string{"github.com/kubeflow/training-operator", "k8s.io/api", "k8s.io/apimachinery"}

// printTable prints the table, with the fields that only the tables in the files have.
func printTable(files []string) error {
	table, err := generate()
	if err != nil {
		return err
	}
	for _, file := range files {
		var other Table
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &other); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := table.add(other); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	text, err := json.MarshalIndent(table, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}

func generate() (Table, error) {
	table := Table{
		Sources: versions(),
		Roots:   Roots{Kinds: map[string]string{}},
		Types:   map[string]map[string]string{},
		seen:    map[reflect.Type]bool{},
	}
	for _, root := range []struct {
		name *string
		kind string
		of   reflect.Type
	}{
		{name: &table.Roots.ObjectMeta, of: reflect.TypeFor[metav1.ObjectMeta]()},
		{name: &table.Roots.PodTemplateSpec, of: reflect.TypeFor[corev1.PodTemplateSpec]()},
		{kind: "scale", of: reflect.TypeFor[autoscalingv1.Scale]()},
		// Two layouts of one kind: the table has the fields of both.
		{kind: "pytorchjobs.kubeflow.org", of: reflect.TypeFor[kubeflow.PyTorchJob]()},
		{kind: "pytorchjobs.kubeflow.org", of: reflect.TypeFor[cci.PyTorchJob]()},
	} {
		word, err := table.word(root.of)
		if err != nil {
			return table, err
		}
		if root.name != nil {
			*root.name = word
			continue
		}
		table.Roots.Kinds[root.kind] = word
	}
	return table, nil
}

// word gives a type's word, and adds the structs that it leads to.
func (table *Table) word(of reflect.Type) (string, error) {
	if word, found := words[of]; found {
		return word, nil
	}
	if reflect.PointerTo(of).Implements(unmarshaler) {
		return "any", nil
	}
	prefix := ""
	switch of.Kind() {
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "bool", nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int", nil
	case reflect.Float32, reflect.Float64:
		return "float", nil
	case reflect.Interface:
		return "any", nil
	case reflect.Struct:
		return table.structure(of)
	case reflect.Pointer:
		prefix = "*"
	case reflect.Slice:
		prefix = "[]"
	case reflect.Map:
		prefix = "map[]"
		if of.Key().Kind() != reflect.String {
			return "", fmt.Errorf("%s: expected keys that are strings", of)
		}
	default:
		return "", fmt.Errorf("%s: no word for this kind of type", of)
	}
	element, err := table.word(of.Elem())
	return prefix + element, err
}

// structure gives a struct's name, and adds its fields.
func (table *Table) structure(of reflect.Type) (string, error) {
	name := name(of)
	if table.seen[of] {
		return name, nil
	}
	table.seen[of] = true
	if table.Types[name] == nil {
		table.Types[name] = map[string]string{}
	}
	return name, table.fields(of, table.Types[name])
}

// fields adds the fields that JSON has of a struct, as encoding/json names them.
func (table *Table) fields(of reflect.Type, fields map[string]string) error {
	for _, field := range fieldsOf(of) {
		name := field.Name
		word, err := table.word(field.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", of, name, err)
		}
		if other, found := fields[name]; found && other != word {
			return fmt.Errorf("%s.%s: both %s and %s", of, name, other, word)
		}
		fields[name] = word
	}
	return nil
}

// name is a struct's name in the table: the end of its package's path, and its own.
func name(of reflect.Type) string {
	folder := of.PkgPath()
	if of.PkgPath() == reflect.TypeFor[cci.PyTorchJob]().PkgPath() {
		// The old layout's kind is the same kind.
		folder = reflect.TypeFor[kubeflow.PyTorchJob]().PkgPath()
	}
	return path.Join(path.Base(path.Dir(folder)), path.Base(folder)) + "." + of.Name()
}

// add adds the fields that only the other table has. Where both have one, this table's type stays.
func (table *Table) add(other Table) error {
	for name, fields := range other.Types {
		if table.Types[name] == nil {
			table.Types[name] = map[string]string{}
		}
		for field, word := range fields {
			mine, found := table.Types[name][field]
			if found && mine != word {
				return fmt.Errorf("%s.%s: both %s and %s", name, field, mine, word)
			}
			table.Types[name][field] = word
		}
	}
	for module, version := range other.Sources {
		if mine := table.Sources[module]; mine != version {
			table.Sources[module] = strings.TrimPrefix(mine+", "+version, ", ")
		}
	}
	return nil
}

// versions gives the versions of the sources that this program was built with.
func versions() map[string]string {
	versions := map[string]string{}
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if !slices.Contains(sources, module.Path) {
			continue
		}
		versions[module.Path] = module.Version
		if module.Replace != nil {
			versions[module.Path] = module.Replace.Version
		}
	}
	return versions
}
