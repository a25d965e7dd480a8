;; Does nothing, and nothing wrong.
(core module $main-module
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (func (export "call") (param i32 i32 i32 i32) (result i32) (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
