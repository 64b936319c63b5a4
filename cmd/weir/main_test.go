package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": main})
}

// TestScripts runs the real command line; each script in testdata is one feature.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"tutorial": runTutorial},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("MACHINE_NAME", "web-1")
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
	})
}
