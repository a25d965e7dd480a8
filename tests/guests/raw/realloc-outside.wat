;; Asked for room for its arguments, it points behind the end of its memory.
(core module $main-module
  (import "lib" "post-return" (func $post-return (param i32)))
  (import "lib" "nothing" (func $nothing (result i32)))
  (export "post-return" (func $post-return))
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x7ffffff8))
  (func (export "call") (param i32 i32 i32 i32) (result i32) (call $nothing)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
