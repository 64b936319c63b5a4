module github.com/weirlog/weir/bench

go 1.26.0

require github.com/weirlog/weir v0.0.0

replace github.com/weirlog/weir => ../
