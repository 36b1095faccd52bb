;; AdamW on the memory of one group of parameters. The arrays g (gradient), p (parameter), m and v (moments) start at
;; multiples of 16 bytes and hold $bytes bytes each, a multiple of 16. Each operation rounds as an operator of its own would.
(module
  (import "patchword" "memory" (memory 1))
  (func (export "adamw")
    (param $bytes i32) (param $g i32) (param $p i32) (param $m i32) (param $v i32)
    (param $finite i32) (param $keep_first f32) (param $take_first f32) (param $keep_second f32) (param $take_second f32)
    (param $epsilon f32) (param $step f32) (param $keep f32)
    (local $i i32) (local $sound v128) (local $first v128) (local $second v128) (local $mask v128)
    (local.set $mask (i32x4.splat (i32.sub (i32.const 0) (local.get $finite))))
    (loop $next
      (local.set $sound (v128.and (local.get $mask) (v128.load (i32.add (local.get $g) (local.get $i)))))
      (local.set $first
        (f32x4.add
          (f32x4.mul (v128.load (i32.add (local.get $m) (local.get $i))) (f32x4.splat (local.get $keep_first)))
          (f32x4.mul (local.get $sound) (f32x4.splat (local.get $take_first)))))
      (local.set $second
        (f32x4.add
          (f32x4.mul (v128.load (i32.add (local.get $v) (local.get $i))) (f32x4.splat (local.get $keep_second)))
          (f32x4.mul
            (f32x4.mul (local.get $sound) (local.get $sound))
            (f32x4.splat (local.get $take_second)))))
      (v128.store (i32.add (local.get $m) (local.get $i)) (local.get $first))
      (v128.store (i32.add (local.get $v) (local.get $i)) (local.get $second))
      (v128.store
        (i32.add (local.get $p) (local.get $i))
        (f32x4.sub
          (f32x4.mul (v128.load (i32.add (local.get $p) (local.get $i))) (f32x4.splat (local.get $keep)))
          (f32x4.mul
            (f32x4.div
              (local.get $first)
              (f32x4.add (f32x4.sqrt (local.get $second)) (f32x4.splat (local.get $epsilon))))
            (f32x4.splat (local.get $step)))))
      (local.set $i (i32.add (local.get $i) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $bytes))))))
