;; Results that break the rules of how values cross from a component to its host; `n` says which. 0 breaks none.
(core module $main-module
  (import "lib" "memory" (memory 1))
  (import "lib" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "lib" "post-return" (func $post-return (param i32)))
  (export "realloc" (func $realloc))
  (export "post-return" (func $post-return))
  (data (i32.const 2048) "\ff\fe")
  (data (i32.const 2064) "\c0\80")
  (data (i32.const 2080) "\ed\a0\80")
  (data (i32.const 2096) "\e2\82")
  (data (i32.const 2112) "\f8\88\80\80\80")

  ;; The number in `{"n":NUMBER}`.
  (func $number (param $at i32) (result i32)
    (local $number i32) (local $digit i32)
    (local.set $at (i32.add (local.get $at) (i32.const 5)))
    (loop $more
      (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
      (if (i32.lt_u (local.get $digit) (i32.const 10)) (then
        (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 10)) (local.get $digit)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $more))))
    (local.get $number))

  ;; `ok` with this list of content.
  (func $content (param $at i32) (param $length i32) (result i32)
    (i32.store (i32.const 1032) (local.get $at))
    (i32.store (i32.const 1036) (local.get $length))
    (i32.const 1024))

  ;; `ok` with one text.
  (func $text (param $at i32) (param $length i32) (result i32)
    (i32.store (i32.const 1112) (local.get $at))
    (i32.store (i32.const 1116) (local.get $length))
    (call $content (i32.const 1104) (i32.const 1)))

  ;; `ok` with `count` times the same text; the list begins at 128 KiB.
  (func $texts (param $count i32) (param $at i32) (param $length i32) (result i32)
    (local $piece i32) (local $left i32)
    (drop (memory.grow (i32.add (i32.shr_u (i32.mul (local.get $count) (i32.const 80)) (i32.const 16)) (i32.const 1))))
    (local.set $piece (i32.const 131072))
    (local.set $left (local.get $count))
    (loop $more
      (i32.store offset=8 (local.get $piece) (local.get $at))
      (i32.store offset=12 (local.get $piece) (local.get $length))
      (local.set $piece (i32.add (local.get $piece) (i32.const 80)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $more (local.get $left)))
    (call $content (i32.const 131072) (local.get $count)))

  (func (export "call") (param i32 i32 i32 i32) (result i32)
    (local $n i32)
    (local.set $n (call $number (local.get 2)))
    (block $20 (block $19 (block $18 (block $17 (block $16 (block $15 (block $14 (block $13 (block $12 (block $11
    (block $10 (block $9 (block $8 (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 $15 $16 $17 $18 $19 $20 (local.get $n)))
      (return (call $text (i32.const 256) (i32.const 3))))
      ;; 1: a text behind the end of memory
      (return (call $text (i32.const 0xffff0000) (i32.const 0x10000))))
      ;; 2: a text whose end is before its beginning
      (return (call $text (i32.const -1) (i32.const 2))))
      ;; 3: more pieces than there is memory for
      (return (call $content (i32.const 0) (i32.const 100000000))))
      ;; 4: a list that is not aligned
      (return (call $content (i32.const 1105) (i32.const 1))))
      ;; 5: a result that is not aligned
      (return (i32.const 1025)))
      ;; 6: a result behind the end of memory
      (return (i32.const 0xfffffff0)))
      ;; 7: neither `ok` nor `error`
      (i32.store8 (i32.const 1024) (i32.const 2))
      (return (i32.const 1024)))
      ;; 8: content of no kind
      (i32.store8 (i32.const 1104) (i32.const 99))
      (return (call $content (i32.const 1104) (i32.const 1))))
      ;; 9: neither some nor none
      (i32.store8 (i32.const 1040) (i32.const 5))
      (return (i32.const 1024)))
      ;; 10: a failure of no kind
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store8 (i32.const 1032) (i32.const 77))
      (return (i32.const 1024)))
      ;; 11 to 15: texts that are not UTF-8: bytes that never occur, an overlong form, half of a pair, half a character,
      ;; five bytes for one character
      (return (call $text (i32.const 2048) (i32.const 2))))
      (return (call $text (i32.const 2064) (i32.const 2))))
      (return (call $text (i32.const 2080) (i32.const 3))))
      (return (call $text (i32.const 2096) (i32.const 2))))
      (return (call $text (i32.const 2112) (i32.const 5))))
      ;; 16: structured content that is not UTF-8
      (i32.store8 (i32.const 1040) (i32.const 1))
      (i32.store (i32.const 1044) (i32.const 2048))
      (i32.store (i32.const 1048) (i32.const 2))
      (return (i32.const 1024)))
      ;; 17: the same 64 KiB two thousand times
      (return (call $texts (i32.const 2000) (i32.const 65536) (i32.const 65536))))
      ;; 18: three hundred thousand empty texts
      (return (call $texts (i32.const 300000) (i32.const 0) (i32.const 0))))
      ;; 19: two hundred texts of 5,000 bytes, none of them too long by itself
      (return (call $texts (i32.const 200) (i32.const 65536) (i32.const 5000))))
    (unreachable)))
(core instance $main (instantiate $main-module (with "lib" (instance $lib))))
