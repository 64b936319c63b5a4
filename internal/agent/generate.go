package agent

//go:generate env WEIR_UPDATE=1 go test -count=1 -run TestReferenceIsCurrent .
