;; What every component in this folder is wrapped in, so that a file holds nothing but what it does wrong.
;;
;; A file gives the core instance $main with the functions `call`, `realloc` and `post-return`. It may use the core
;; instance $lib: a memory, whose first 8 KiB are for fixed things, and an allocator that never frees. Lines such as
;; `;; encoding: utf16` at its start change how `call` is lifted.
(component
  (core module $lib
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 8192))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
        (drop (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))))
      (local.get $at))
    (func (export "post-return") (param i32))
    ;; One tool, `run`, which takes a number `n`.
    (func (export "describe") (result i32) (i32.const 16))
    (data (i32.const 16) "\20\00\00\00\01\00\00\00")
    (data (i32.const 32) "\00\01\00\00\03\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"
      "\10\01\00\00\18\00\00\00\40\01\00\00\37\00\00\00")
    (data (i32.const 256) "run")
    (data (i32.const 272) "Does what its file says.")
    (data (i32.const 320) "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}")
    ;; No reason not to work, and a result without content: nothing but zeros.
    (func (export "check") (result i32) (i32.const 96))
    (func (export "nothing") (result i32) (i32.const 128))
  )
  (core instance $lib (instantiate $lib))
  ;; GUEST
  (type $text (option string))
  (type $flag (option bool))
  (type $risk (enum "low" "medium" "high"))
  (type $annotations
    (record (field "read-only" $flag) (field "destructive" $flag) (field "idempotent" $flag) (field "open-world" $flag)))
  (type $definition
    (record (field "name" string) (field "title" $text) (field "description" string) (field "input-schema" string)
      (field "output-schema" $text) (field "annotations" $annotations) (field "risk" $risk)))
  (type $media (record (field "data" (list u8)) (field "mime-type" string)))
  (type $resource-body (variant (case "text" string) (case "blob" (list u8))))
  (type $embedded-resource (record (field "uri" string) (field "mime-type" $text) (field "body" $resource-body)))
  (type $resource-link
    (record (field "uri" string) (field "name" string) (field "title" $text) (field "description" $text)
      (field "mime-type" $text) (field "size" (option u64))))
  (type $content
    (variant (case "text" string) (case "image" $media) (case "audio" $media) (case "resource" $embedded-resource)
      (case "link" $resource-link)))
  (type $output (record (field "content" (list $content)) (field "structured" $text)))
  (type $wanted
    (variant (case "read-path" string) (case "write-path" string) (case "request" string) (case "secret" string)))
  (type $upstream (record (field "message" string) (field "status" (option u16)) (field "retry-after" (option u64))))
  (type $failure
    (variant (case "invalid-arguments" string) (case "not-configured" string) (case "denied" $wanted)
      (case "not-found" string) (case "unasked" string) (case "upstream" $upstream) (case "failed" string)))
  (func $describe (result (list $definition))
    (canon lift (core func $DESCRIBE "describe") (memory (core memory $lib "memory"))))
  (func $check (result $text)
    (canon lift (core func $lib "check") (memory (core memory $lib "memory"))))
  (func $call (param "name" string) (param "arguments" string) (result (result $output (error $failure)))
    (canon lift (core func $main "call") (memory (core memory $lib "memory")) (realloc (core func $main "realloc"))
      (post-return (core func $main "post-return")) string-encoding=ENCODING))
  (instance $tool
    (export "risk" (type $risk)) (export "annotations" (type $annotations)) (export "definition" (type $definition))
    (export "media" (type $media)) (export "resource-body" (type $resource-body))
    (export "embedded-resource" (type $embedded-resource)) (export "resource-link" (type $resource-link))
    (export "content" (type $content)) (export "output" (type $output)) (export "wanted" (type $wanted))
    (export "upstream" (type $upstream)) (export "failure" (type $failure))
    (export "describe" (func $describe)) (export "check" (func $check)) (export "call" (func $call)))
  (export "bailiwick:tool/tool@0.1.0" (instance $tool))
)
