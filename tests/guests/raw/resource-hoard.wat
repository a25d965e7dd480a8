;; Resources of its own, without end and without letting go of one.
(type $thing (resource (rep i32)))
(core func $new-thing (canon resource.new $thing))
(core instance $things (export "new" (func $new-thing)))
(core module $main-module
  (import "things" "new" (func $new (param i32) (result i32)))
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (func (export "call") (param i32 i32 i32 i32) (result i32)
    (loop $more (drop (call $new (i32.const 7))) (br $more))
    (unreachable)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib)) (with "things" (instance $things))))
