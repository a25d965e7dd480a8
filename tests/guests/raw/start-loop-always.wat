;; The start function of a module never ends, whoever looks.
(core module $main-module
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (export "call" (func $call))
  (func $start (loop $for-ever (br $for-ever)))
  (start $start)
  (func $call (param i32 i32 i32 i32) (result i32) (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
