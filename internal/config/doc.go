// Package config reads, checks and prints configurations. It knows nothing of what is
// configured: components bring structs with yaml tags, defaults and a Validate method.
//
// It owns the way from files to structs, and the place of every value on it, so that each
// problem is reported as file:line:col: path: remedy, and all of them at once:
//
//	tree, mistakes := config.Load(config.Options{Env: os.LookupEnv}, "weir.yaml")
//	cfg := agent.Default()
//	mistakes = append(mistakes, config.Decode(tree.Root, &cfg)...).Sort()
//
// Texts are interpolated after parsing, so that what is put in never becomes structure:
// ${VAR}, ${VAR:-default} (used also if VAR is empty) and ${file:/path}. Only "${" begins an
// interpolation, "$${" is a literal "${", any other $ means itself.
//
// A Tree is not to be used concurrently with a Decode of its nodes, since that learns
// secrets. Left out: defaults (the structs bring them), command-line flags, the environment
// (a function in Options) and watching files. The reference manual and JSON Schema are made
// from the same structs by package reference.
package config
