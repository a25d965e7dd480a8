;; describe: $main
;; Says that the risk of its tool is a ninth kind of risk, where there are three.
(core module $main-module
  (import "lib" "memory" (memory 1))
  (import "lib" "describe" (func $describe (result i32)))
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (func (export "describe") (result i32)
    (i32.store8 (i32.const 88) (i32.const 9))
    (call $describe))
  (func (export "call") (param i32 i32 i32 i32) (result i32) (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
