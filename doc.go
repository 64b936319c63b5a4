// Package weir is the root of the module and holds no code. The program is cmd/weir,
// ARCHITECTURE.md is the map, and house_test.go keeps the rules of the house.
package weir
