// A controller that depends on solved tasks, with controller-runtime: for every ConfigMap labelled
// example.com/login=wanted it has a captcha solved and writes how that went into an annotation of the ConfigMap. Run it
// with
//
//	go run . -namespace <namespace>
//
// It needs ../../deploy/examples/program.yaml.
//
// What to take from it: the task's name is made from what needs it (creating twice is one task), the owner reference
// makes it go with its ConfigMap and wakes the controller when the task changes (Owns), and "finished" is
// status.completionTime, which a solved and a failed task both have.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	wanted  = "example.com/login"
	outcome = "example.com/login-outcome"
)

var taskKind = schema.GroupVersionKind{Group: "captcha-operator.io", Version: "v1alpha1", Kind: "CaptchaTask"}

type logins struct{ client.Client }

// Reconcile is one pass over one wish; it remembers nothing, so it may be killed at any moment.
func (c *logins) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	wish := &corev1.ConfigMap{}
	if err := c.Get(ctx, request.NamespacedName, wish); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if wish.Labels[wanted] != "wanted" || wish.Annotations[outcome] != "" || wish.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	task := newTask()
	err := c.Get(ctx, client.ObjectKey{Namespace: wish.Namespace, Name: "login-" + wish.Name}, task)
	if apierrors.IsNotFound(err) {
		// AlreadyExists: the cache is a little behind; the task's own event brings us back.
		return ctrl.Result{}, client.IgnoreAlreadyExists(c.order(ctx, wish))
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if _, finished, _ := unstructured.NestedString(task.Object, "status", "completionTime"); !finished {
		return ctrl.Result{}, nil
	}
	patch := client.MergeFrom(wish.DeepCopy())
	if wish.Annotations == nil {
		wish.Annotations = map[string]string{}
	}
	wish.Annotations[outcome] = resultOf(task)
	return ctrl.Result{}, c.Patch(ctx, wish, patch)
}

func (c *logins) order(ctx context.Context, wish *corev1.ConfigMap) error {
	task := newTask()
	task.SetNamespace(wish.Namespace)
	task.SetName("login-" + wish.Name)
	task.Object["spec"] = map[string]any{
		"captcha": map[string]any{
			"type":      "Turnstile",
			"turnstile": map[string]any{"siteKey": wish.Data["siteKey"], "pageURL": wish.Data["pageURL"]},
		},
	}
	if err := ctrl.SetControllerReference(wish, task, c.Scheme()); err != nil {
		return err
	}
	return c.Create(ctx, task)
}

// Here you would log in with status.solution.value, before status.solution.freshUntilTime.
func resultOf(task *unstructured.Unstructured) string {
	if _, solved, _ := unstructured.NestedString(task.Object, "status", "solution", "value"); solved {
		return "solved"
	}
	conditions, _, _ := unstructured.NestedSlice(task.Object, "status", "conditions")
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok && condition["type"] == "Solved" {
			return fmt.Sprintf("not solved: %v", condition["reason"])
		}
	}
	return "not solved"
}

func newTask() *unstructured.Unstructured {
	task := &unstructured.Unstructured{}
	task.SetGroupVersionKind(taskKind)
	return task
}

func run() error {
	namespace := flag.String("namespace", "default", "the namespace to work in")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{*namespace: {}}},
		Metrics: server.Options{BindAddress: "0"},
		// The default reads unstructured objects from the API server each time.
		Client: client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(manager).Named("logins").
		For(&corev1.ConfigMap{}).Owns(newTask()).Complete(&logins{manager.GetClient()})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
