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
      (br_if $next (i32.lt_u (local.get $i) (local.get $bytes)))))

  ;; Takes the share $take of g into the mean, of which $keep stays.
  (func (export "mean")
    (param $bytes i32) (param $g i32) (param $mean i32) (param $finite i32) (param $keep f32) (param $take f32)
    (local $i i32) (local $mask v128)
    (local.set $mask (i32x4.splat (i32.sub (i32.const 0) (local.get $finite))))
    (loop $next
      (v128.store
        (i32.add (local.get $mean) (local.get $i))
        (f32x4.add
          (f32x4.mul (v128.load (i32.add (local.get $mean) (local.get $i))) (f32x4.splat (local.get $keep)))
          (f32x4.mul
            (v128.and (local.get $mask) (v128.load (i32.add (local.get $g) (local.get $i))))
            (f32x4.splat (local.get $take)))))
      (local.set $i (i32.add (local.get $i) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $bytes)))))

  ;; Writes 32 columns of a matrix at $from, whose rows hold $columns numbers, as 32 rows of $rows numbers at $to. $rows is a
  ;; multiple of 4. Four rows make four columns at a time, so that each line of the matrix is read once.
  (func (export "transpose") (param $from i32) (param $to i32) (param $columns i32) (param $rows i32)
    (local $row i32) (local $column i32) (local $width i32) (local $height i32) (local $source i32) (local $target i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $ab v128) (local $cd v128) (local $ab2 v128) (local $cd2 v128)
    (local.set $width (i32.shl (local.get $columns) (i32.const 2)))
    (local.set $height (i32.shl (local.get $rows) (i32.const 2)))
    (loop $four_rows
      (local.set $column (i32.const 0))
      (loop $four_columns
        (local.set $source (i32.add (local.get $from) (i32.shl (local.get $column) (i32.const 2))))
        (local.set $a (v128.load (local.get $source)))
        (local.set $source (i32.add (local.get $source) (local.get $width)))
        (local.set $b (v128.load (local.get $source)))
        (local.set $source (i32.add (local.get $source) (local.get $width)))
        (local.set $c (v128.load (local.get $source)))
        (local.set $source (i32.add (local.get $source) (local.get $width)))
        (local.set $d (v128.load (local.get $source)))
        (local.set $ab (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $a) (local.get $b)))
        (local.set $cd (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $c) (local.get $d)))
        (local.set $ab2 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $a) (local.get $b)))
        (local.set $cd2 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $c) (local.get $d)))
        (local.set $target
          (i32.add
            (local.get $to)
            (i32.add (i32.mul (local.get $column) (local.get $height)) (i32.shl (local.get $row) (i32.const 2)))))
        (v128.store
          (local.get $target)
          (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $ab) (local.get $cd)))
        (local.set $target (i32.add (local.get $target) (local.get $height)))
        (v128.store
          (local.get $target)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $ab) (local.get $cd)))
        (local.set $target (i32.add (local.get $target) (local.get $height)))
        (v128.store
          (local.get $target)
          (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $ab2) (local.get $cd2)))
        (local.set $target (i32.add (local.get $target) (local.get $height)))
        (v128.store
          (local.get $target)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $ab2) (local.get $cd2)))
        (local.set $column (i32.add (local.get $column) (i32.const 4)))
        (br_if $four_columns (i32.lt_u (local.get $column) (i32.const 32))))
      (local.set $from (i32.add (local.get $from) (i32.shl (local.get $width) (i32.const 2))))
      (local.set $row (i32.add (local.get $row) (i32.const 4)))
      (br_if $four_rows (i32.lt_u (local.get $row) (local.get $rows))))))
