;; Random numbers by the block: 2048 uniform numbers, and what is made of them. Memory holds the uniform numbers from 0 on, as
;; multiples of 2^-53, the radii of normal numbers from 16384 on, and the results, as float32, from 24576 on.
(module
  (import "patchword" "normal" (func $normal (param $first f64) (param $second f64) (result f64)))
  (memory (export "memory") 1)
  (global $s0 (mut i64) (i64.const 0))
  (global $s1 (mut i64) (i64.const 0))

  ;; Sets the state of the generator, xoroshiro128+.
  (func (export "seed") (param $high0 i32) (param $low0 i32) (param $high1 i32) (param $low1 i32)
    (global.set $s0
      (i64.or
        (i64.shl (i64.extend_i32_u (local.get $high0)) (i64.const 32))
        (i64.extend_i32_u (local.get $low0))))
    (global.set $s1
      (i64.or
        (i64.shl (i64.extend_i32_u (local.get $high1)) (i64.const 32))
        (i64.extend_i32_u (local.get $low1)))))

  ;; Draws a new block. A number has the low 26 bits of one sum of the generator and the low 27 bits of the next.
  (func $block
    (local $at i32) (local $s0 i64) (local $s1 i64) (local $high i64)
    (local.set $s0 (global.get $s0))
    (local.set $s1 (global.get $s1))
    (loop $next
      (local.set $high (i64.shr_u (i64.shl (i64.add (local.get $s0) (local.get $s1)) (i64.const 38)) (i64.const 11)))
      (local.set $s1 (i64.xor (local.get $s1) (local.get $s0)))
      (local.set $s0
        (i64.xor
          (i64.shl (local.get $s1) (i64.const 16))
          (i64.xor (local.get $s1) (i64.rotl (local.get $s0) (i64.const 24)))))
      (local.set $s1 (i64.rotl (local.get $s1) (i64.const 37)))
      (f64.store
        (local.get $at)
        (f64.convert_i64_s
          (i64.or
            (local.get $high)
            (i64.and (i64.add (local.get $s0) (local.get $s1)) (i64.const 0x7ffffff)))))
      (local.set $s1 (i64.xor (local.get $s1) (local.get $s0)))
      (local.set $s0
        (i64.xor
          (i64.shl (local.get $s1) (i64.const 16))
          (i64.xor (local.get $s1) (i64.rotl (local.get $s0) (i64.const 24)))))
      (local.set $s1 (i64.rotl (local.get $s1) (i64.const 37)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 16384))))
    (global.set $s0 (local.get $s0))
    (global.set $s1 (local.get $s1)))

  ;; Makes numbers within +-bound of a new block, times the factor.
  (func (export "uniform") (param $bound f64) (param $factor f64)
    (local $at i32)
    (call $block)
    (loop $next
      (v128.store64_lane offset=24576 0
        (i32.shr_u (local.get $at) (i32.const 1))
        (f32x4.demote_f64x2_zero
          (f64x2.mul
            (f64x2.mul
              (f64x2.mul
                (f64x2.sub (v128.load (local.get $at)) (v128.const f64x2 0x1p52 0x1p52))
                (v128.const f64x2 0x1p-52 0x1p-52))
              (f64x2.splat (local.get $bound)))
            (f64x2.splat (local.get $factor)))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 16384)))))

  ;; Makes normal numbers of a new block, by Box and Muller, times the deviation. Leaves out those beyond +-cut, multiplies the
  ;; others by the factor, and returns how many they are. The results are those of $normal to the bit. An approximation is
  ;; off by less than 2^-35 of a number that is at least $least. Where that might change the comparison with the cut, which $below and
  ;; $above enclose, or the rounding to float32, $normal is called.
  (func (export "normal")
    (param $deviation f64) (param $cut f64) (param $factor f64) (param $below f64) (param $above f64) (param $least f64)
    (result i32)
    (local $at i32) (local $to i32) (local $lanes i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $value v128) (local $size v128) (local $kept v128) (local $doubt v128) (local $scaled v128)
    (call $block)
    ;; Radii: sqrt(-2 log(1 - first)). The argument is 2^k m with m between sqrt(1/2) and sqrt(2), and log m is a polynomial in
    ;; s = (m - 1) / (m + 1).
    (loop $radius
      (local.set $a
        (i64x2.add
          (f64x2.sub
            (v128.const f64x2 0x1p53 0x1p53)
            (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
              (v128.load (local.get $at))
              (v128.load offset=16 (local.get $at))))
          (v128.const i64x2 0x00095f6200000000 0x00095f6200000000)))
      (local.set $b
        (i64x2.add
          (v128.and (local.get $a) (v128.const i64x2 0x000fffffffffffff 0x000fffffffffffff))
          (v128.const i64x2 0x3fe6a09e00000000 0x3fe6a09e00000000)))
      (local.set $b
        (f64x2.div
          (f64x2.sub (local.get $b) (v128.const f64x2 1 1))
          (f64x2.add (local.get $b) (v128.const f64x2 1 1))))
      (local.set $c (f64x2.mul (local.get $b) (local.get $b)))
      (local.set $d (f64x2.mul (local.get $c) (local.get $c)))
      (v128.store offset=16384
        (i32.shr_u (local.get $at) (i32.const 1))
        (f64x2.sqrt
          (f64x2.add
            (f64x2.mul
              (f64x2.sub
                (v128.or (i64x2.shr_u (local.get $a) (i32.const 52)) (v128.const f64x2 0x1p52 0x1p52))
                (v128.const f64x2 0x1.0000000000434p52 0x1.0000000000434p52))
              (v128.const f64x2 -1.3862943611198906 -1.3862943611198906))
            (f64x2.mul
              (local.get $b)
              (f64x2.add
                (f64x2.add
                  (v128.const f64x2 -4.000000000016857 -4.000000000016857)
                  (f64x2.mul (v128.const f64x2 -1.3333333047974518 -1.3333333047974518) (local.get $c)))
                (f64x2.mul
                  (local.get $d)
                  (f64x2.add
                    (f64x2.add
                      (v128.const f64x2 -0.8000077197458725 -0.8000077197458725)
                      (f64x2.mul (v128.const f64x2 -0.570699568654692 -0.570699568654692) (local.get $c)))
                    (f64x2.mul (v128.const f64x2 -0.47235222556926393 -0.47235222556926393) (local.get $d)))))))))
      (local.set $at (i32.add (local.get $at) (i32.const 32)))
      (br_if $radius (i32.lt_u (local.get $at) (i32.const 16384))))
    (local.set $at (i32.const 0))
    (local.set $to (i32.const 24576))
    (loop $next
      ;; cos(2 pi second) is the sine of 2 pi a with a = |second - 1/2| - 1/4, a polynomial in a.
      (local.set $a
        (f64x2.mul
          (f64x2.sub
            (f64x2.abs
              (f64x2.sub
                (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31
                  (v128.load (local.get $at))
                  (v128.load offset=16 (local.get $at)))
                (v128.const f64x2 0x1p52 0x1p52)))
            (v128.const f64x2 0x1p51 0x1p51))
          (v128.const f64x2 0x1p-53 0x1p-53)))
      (local.set $b (f64x2.mul (local.get $a) (local.get $a)))
      (local.set $c (f64x2.mul (local.get $b) (local.get $b)))
      (local.set $d (f64x2.mul (local.get $c) (local.get $c)))
      (local.set $value
        (f64x2.mul
          (f64x2.mul
            (v128.load offset=16384 (i32.shr_u (local.get $at) (i32.const 1)))
            (f64x2.mul (local.get $a) (f64x2.splat (local.get $deviation))))
          (f64x2.add
            (f64x2.add
              (f64x2.add
                (v128.const f64x2 6.2831853071791945 6.2831853071791945)
                (f64x2.mul (v128.const f64x2 -41.34170223981849 -41.34170223981849) (local.get $b)))
              (f64x2.mul
                (local.get $c)
                (f64x2.add
                  (v128.const f64x2 81.6052491334178 81.6052491334178)
                  (f64x2.mul (v128.const f64x2 -76.70584649412869 -76.70584649412869) (local.get $b)))))
            (f64x2.mul
              (local.get $d)
              (f64x2.add
                (f64x2.add
                  (v128.const f64x2 42.05810284161085 42.05810284161085)
                  (f64x2.mul (v128.const f64x2 -15.081031717515778 -15.081031717515778) (local.get $b)))
                (f64x2.mul (v128.const f64x2 3.6634647233566056 3.6634647233566056) (local.get $c)))))))
      (local.set $size (f64x2.abs (local.get $value)))
      (local.set $kept (f64x2.le (local.get $size) (f64x2.splat (local.get $below))))
      (local.set $lanes (i64x2.bitmask (local.get $kept)))
      (local.set $scaled (f64x2.mul (local.get $value) (f64x2.splat (local.get $factor))))
      ;; The last comparison finds numbers near the middle of two float32 numbers, by the 29 bits that rounding drops.
      (local.set $doubt
        (v128.or
          (v128.or
            (f64x2.lt (local.get $size) (f64x2.splat (local.get $least)))
            (v128.xor (local.get $kept) (f64x2.le (local.get $size) (f64x2.splat (local.get $above)))))
          (i32x4.lt_s
            (v128.and
              (i64x2.sub (local.get $scaled) (v128.const i64x2 0x0ffc0000 0x0ffc0000))
              (v128.const i64x2 0x1fffffff 0x1fffffff))
            (v128.const i64x2 0x8000000000080000 0x8000000000080000))))
      (if (v128.any_true (local.get $doubt))
        (then
          (local.set $lanes (i64x2.bitmask (i64x2.ne (local.get $doubt) (v128.const i64x2 0 0))))
          (if (i32.and (local.get $lanes) (i32.const 1))
            (then
              (local.set $value
                (f64x2.replace_lane 0
                  (local.get $value)
                  (f64.mul
                    (call $normal (f64.load (local.get $at)) (f64.load offset=8 (local.get $at)))
                    (local.get $deviation))))))
          (if (i32.and (local.get $lanes) (i32.const 2))
            (then
              (local.set $value
                (f64x2.replace_lane 1
                  (local.get $value)
                  (f64.mul
                    (call $normal (f64.load offset=16 (local.get $at)) (f64.load offset=24 (local.get $at)))
                    (local.get $deviation))))))
          (local.set $lanes (i64x2.bitmask (f64x2.le (f64x2.abs (local.get $value)) (f64x2.splat (local.get $cut)))))
          (local.set $scaled (f64x2.mul (local.get $value) (f64x2.splat (local.get $factor))))))
      ;; A number that is left out is written, too, and overwritten by the next.
      (local.set $scaled (f32x4.demote_f64x2_zero (local.get $scaled)))
      (v128.store32_lane 0 (local.get $to) (local.get $scaled))
      (local.set $to (i32.add (local.get $to) (i32.shl (i32.and (local.get $lanes) (i32.const 1)) (i32.const 2))))
      (v128.store32_lane 1 (local.get $to) (local.get $scaled))
      (local.set $to (i32.add (local.get $to) (i32.shl (i32.and (local.get $lanes) (i32.const 2)) (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 32)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 16384))))
    (i32.shr_u (i32.sub (local.get $to) (i32.const 24576)) (i32.const 2))))
