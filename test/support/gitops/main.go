// Says how Flux and Argo CD judge objects, by the parts that they are made of: Flux's own evaluator of
// healthCheckExprs, kstatus as Flux runs it, and for Argo CD its Lua machine with the few libraries that Argo CD opens
// (no string, io or debug library, one second). Reads one question from stdin, writes one answer to stdout, and knows
// nothing of captchas.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type question struct {
	Objects []json.RawMessage `json:"objects"`
	// Scripts of Argo CD, by kind.
	Lua  map[string]string                `json:"lua"`
	Flux kustomize.HealthCheckExpressions `json:"flux"`
}

type verdict struct {
	Kstatus string `json:"kstatus"`
	Flux    string `json:"flux"`
	Argo    string `json:"argo"`
	Message string `json:"message"`
}

func main() {
	var asked question
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	evaluator, err := cel.NewStatusEvaluator(&asked.Flux)
	must(err)
	verdicts := make([]verdict, 0, len(asked.Objects))
	for _, raw := range asked.Objects {
		object := &unstructured.Unstructured{}
		must(object.UnmarshalJSON(raw))
		verdicts = append(verdicts, judge(object, evaluator, asked.Lua[object.GetKind()]))
	}
	must(json.NewEncoder(os.Stdout).Encode(verdicts))
}

func judge(object *unstructured.Unstructured, evaluator *cel.StatusEvaluator, script string) verdict {
	var found verdict
	if computed, err := status.Compute(object); err != nil {
		found.Kstatus = "error: " + err.Error()
	} else {
		found.Kstatus = computed.Status.String()
	}
	if evaluated, err := evaluator.Evaluate(context.Background(), object); err != nil {
		found.Flux = "error: " + err.Error()
	} else {
		found.Flux = evaluated.Status.String()
	}
	health, message, err := argo(object, script)
	if err != nil {
		health = "error: " + err.Error()
	}
	found.Argo, found.Message = health, message
	return found
}

var healths = []string{"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}

func argo(object *unstructured.Unstructured, script string) (string, string, error) {
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		machine.Push(machine.NewFunction(library.open))
		machine.Push(lua.LString(library.name))
		if err := machine.PCall(1, 0, nil); err != nil {
			return "", "", err
		}
	}
	deadline, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	machine.SetContext(deadline)
	machine.SetGlobal("obj", toLua(machine, object.Object))
	if err := machine.DoString(script); err != nil {
		return "", "", err
	}
	table, ok := machine.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script returned a %s", machine.Get(-1).Type())
	}
	health := lua.LVAsString(table.RawGetString("status"))
	if !slices.Contains(healths, health) {
		return "", "", fmt.Errorf("%q is no health", health)
	}
	return health, lua.LVAsString(table.RawGetString("message")), nil
}

func toLua(machine *lua.LState, value any) lua.LValue {
	switch known := value.(type) {
	case bool:
		return lua.LBool(known)
	case int64:
		return lua.LNumber(known)
	case float64:
		return lua.LNumber(known)
	case string:
		return lua.LString(known)
	case []any:
		list := machine.CreateTable(len(known), 0)
		for _, item := range known {
			list.Append(toLua(machine, item))
		}
		return list
	case map[string]any:
		table := machine.CreateTable(0, len(known))
		for name, item := range known {
			table.RawSetString(name, toLua(machine, item))
		}
		return table
	}
	return lua.LNil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
