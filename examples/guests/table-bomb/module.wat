;; Does what no compiler writes. The first letter of the path says what: `/tables` grows a table until it is refused and
;; answers its size, `/huge` asks for 2^32-1 elements at once, `/memory` grows the memory until it is refused and answers
;; its pages, `/again` asks in between for what no memory can have, `/null` calls an element that is not there, `/wrong`
;; one of another type, `/beyond` reads past the memory, `/divide` divides by zero. Anything else answers 0.
(module
  (import "wasi:http/types@0.2.12" "[method]incoming-request.path-with-query" (func $path (param i32 i32)))
  (import "wasi:http/types@0.2.12" "[resource-drop]incoming-request" (func $drop-request (param i32)))
  (import "wasi:http/types@0.2.12" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.2.12" "[constructor]outgoing-response" (func $response (param i32) (result i32)))
  (import "wasi:http/types@0.2.12" "[method]outgoing-response.body" (func $body (param i32 i32)))
  (import "wasi:http/types@0.2.12" "[static]response-outparam.set"
    (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.12" "[method]outgoing-body.write" (func $write (param i32 i32)))
  (import "wasi:http/types@0.2.12" "[static]outgoing-body.finish" (func $finish (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
    (func $blocking-write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.12" "[resource-drop]output-stream" (func $drop-stream (param i32)))

  (memory (export "memory") 2)
  (table $table 2 funcref)
  (elem (table $table) (i32.const 1) func $other-type)
  (type $nothing (func))
  ;; Results of host calls lie at 16, the number's digits end at 64, what the host allocates begins at 4096.
  (global $next (mut i32) (i32.const 4096))

  (func $other-type (param i64))

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
    (local.get $at))

  (func $grow-table (result i32)
    (loop $more
      (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
    (table.size $table))

  (func $grow-table-at-once (result i32)
    (drop (table.grow $table (ref.null func) (i32.const -1)))
    (table.size $table))

  (func $grow-memory (result i32)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (memory.size))

  (func $grow-memory-again (result i32)
    (loop $more
      (drop (memory.grow (i32.const 65535)))
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (memory.size))

  (func $do (param $what i32) (result i32)
    (if (i32.eq (local.get $what) (i32.const 116)) (then (return (call $grow-table))))
    (if (i32.eq (local.get $what) (i32.const 104)) (then (return (call $grow-table-at-once))))
    (if (i32.eq (local.get $what) (i32.const 109)) (then (return (call $grow-memory))))
    (if (i32.eq (local.get $what) (i32.const 97)) (then (return (call $grow-memory-again))))
    (if (i32.eq (local.get $what) (i32.const 110)) (then (call_indirect $table (type $nothing) (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 119)) (then (call_indirect $table (type $nothing) (i32.const 1))))
    (if (i32.eq (local.get $what) (i32.const 98)) (then (return (i32.load (i32.const -4)))))
    (if (i32.eq (local.get $what) (i32.const 100)) (then (return (i32.div_u (i32.const 1) (i32.const 0)))))
    (i32.const 0))

  ;; Writes the number and a line break, ending at 64, and gives where it begins.
  (func $spell (param $number i32) (result i32)
    (local $at i32)
    (i32.store8 (i32.const 63) (i32.const 10))
    (local.set $at (i32.const 63))
    (loop $more
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $more (local.get $number)))
    (local.get $at))

  (func (export "wasi:http/incoming-handler@0.2.12#handle") (param $request i32) (param $out i32)
    (local $response i32) (local $body i32) (local $stream i32) (local $what i32) (local $at i32)
    (global.set $next (i32.const 4096))
    (call $path (local.get $request) (i32.const 16))
    ;; The second byte of a path that is there.
    (if (i32.load8_u (i32.const 16))
      (then (local.set $what (i32.load8_u offset=1 (i32.load (i32.const 20))))))
    (call $drop-request (local.get $request))
    (local.set $at (call $spell (call $do (local.get $what))))
    (local.set $response (call $response (call $fields)))
    (call $body (local.get $response) (i32.const 16))
    (local.set $body (i32.load (i32.const 20)))
    (call $set (local.get $out) (i32.const 0) (local.get $response)
      (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $write (local.get $body) (i32.const 16))
    (local.set $stream (i32.load (i32.const 20)))
    (call $blocking-write (local.get $stream) (local.get $at) (i32.sub (i32.const 64) (local.get $at)) (i32.const 128))
    (call $drop-stream (local.get $stream))
    (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 160))))
