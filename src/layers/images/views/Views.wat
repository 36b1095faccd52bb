;; Pictures of RGB bytes, changed in colour and resized. Places are in the module's memory. Bytes up to 64 after each place
;; that is read, or written, may be read, or written, too.
(module
  (memory (export "memory") 1)

  ;; Changes the colours of a rectangle, four pixels at a time, in 32-bit floats as Pillow does: each value is moved away
  ;; from an origin by a factor, cut to 0..255 and rounded down. The changes are $count triples at $changes: a kind (i32), the
  ;; factor (f32), and the origin (f32). The origin of kind 0 is 0, and that of kind 2 each pixel's own luminance. What is
  ;; changed is written to $to unless that is 0; the sum of its luminances is returned if $measure. They are exact: the sum
  ;; below is below 2^24.
  (func (export "colour")
    (param $from i32) (param $from_step i32) (param $to i32) (param $to_step i32) (param $width i32) (param $height i32)
    (param $changes i32) (param $count i32) (param $measure i32)
    (result f64)
    (local $row i32) (local $left i32) (local $read i32) (local $write i32) (local $change i32) (local $kind i32) (local $last i32)
    (local $pixels v128) (local $r v128) (local $g v128) (local $b v128) (local $origin v128) (local $factor v128)
    (local $sums v128) (local $sum f64)
    (local.set $last (i32.add (local.get $changes) (i32.mul (local.get $count) (i32.const 12))))
    (local.set $row (local.get $height))
    (loop $next_row
      (local.set $read (local.get $from))
      (local.set $write (local.get $to))
      (local.set $left (local.get $width))
      (local.set $sums (v128.const i32x4 0 0 0 0))
      (loop $next
        (local.set $pixels (v128.load (local.get $read)))
        (local.set $r (f32x4.convert_i32x4_s (i8x16.shuffle 0 16 16 16 3 16 16 16 6 16 16 16 9 16 16 16
          (local.get $pixels) (v128.const i32x4 0 0 0 0))))
        (local.set $g (f32x4.convert_i32x4_s (i8x16.shuffle 1 16 16 16 4 16 16 16 7 16 16 16 10 16 16 16
          (local.get $pixels) (v128.const i32x4 0 0 0 0))))
        (local.set $b (f32x4.convert_i32x4_s (i8x16.shuffle 2 16 16 16 5 16 16 16 8 16 16 16 11 16 16 16
          (local.get $pixels) (v128.const i32x4 0 0 0 0))))
        (local.set $change (local.get $changes))
        (block $changed
          (loop $next_change
            (br_if $changed (i32.ge_u (local.get $change) (local.get $last)))
            (local.set $factor (v128.load32_splat offset=4 (local.get $change)))
            (local.set $kind (i32.load (local.get $change)))
            (if (local.get $kind)
              (then
                (if (i32.eq (local.get $kind) (i32.const 2))
                  (then (local.set $origin
                  (f32x4.floor (f32x4.mul (v128.const f32x4 0x1p-16 0x1p-16 0x1p-16 0x1p-16)
                    (f32x4.add
                      (f32x4.add
                        (f32x4.mul (local.get $r) (v128.const f32x4 19595 19595 19595 19595))
                        (f32x4.mul (local.get $g) (v128.const f32x4 38470 38470 38470 38470)))
                      (f32x4.add
                        (f32x4.mul (local.get $b) (v128.const f32x4 7471 7471 7471 7471))
                        (v128.const f32x4 32768 32768 32768 32768)))))))
                  (else (local.set $origin (v128.load32_splat offset=8 (local.get $change)))))
                (local.set $r (f32x4.add (local.get $origin)
                  (f32x4.mul (local.get $factor) (f32x4.sub (local.get $r) (local.get $origin)))))
                (local.set $g (f32x4.add (local.get $origin)
                  (f32x4.mul (local.get $factor) (f32x4.sub (local.get $g) (local.get $origin)))))
                (local.set $b (f32x4.add (local.get $origin)
                  (f32x4.mul (local.get $factor) (f32x4.sub (local.get $b) (local.get $origin))))))
              (else
                (local.set $r (f32x4.mul (local.get $factor) (local.get $r)))
                (local.set $g (f32x4.mul (local.get $factor) (local.get $g)))
                (local.set $b (f32x4.mul (local.get $factor) (local.get $b)))))
            ;; A factor of at most 1 leads to nowhere beyond the origin.
            (if (f32.gt (f32.load offset=4 (local.get $change)) (f32.const 1))
              (then
                (local.set $r (f32x4.pmin (v128.const f32x4 255 255 255 255)
                  (f32x4.pmax (v128.const f32x4 0 0 0 0) (local.get $r))))
                (local.set $g (f32x4.pmin (v128.const f32x4 255 255 255 255)
                  (f32x4.pmax (v128.const f32x4 0 0 0 0) (local.get $g))))
                (local.set $b (f32x4.pmin (v128.const f32x4 255 255 255 255)
                  (f32x4.pmax (v128.const f32x4 0 0 0 0) (local.get $b))))))
            (local.set $r (f32x4.floor (local.get $r)))
            (local.set $g (f32x4.floor (local.get $g)))
            (local.set $b (f32x4.floor (local.get $b)))
            (local.set $change (i32.add (local.get $change) (i32.const 12)))
            (br $next_change)))
        (if (local.get $to)
          (then
            ;; Added to 2^23, a whole number is the low bits of its float.
            (v128.store (local.get $write)
              (i8x16.shuffle 0 1 16 2 3 20 4 5 24 6 7 28 31 31 31 31
                (i8x16.shuffle 0 16 4 20 8 24 12 28 31 31 31 31 31 31 31 31
                  (f32x4.add (local.get $r) (v128.const f32x4 8388608 8388608 8388608 8388608))
                  (f32x4.add (local.get $g) (v128.const f32x4 8388608 8388608 8388608 8388608)))
                (f32x4.add (local.get $b) (v128.const f32x4 8388608 8388608 8388608 8388608))))
            (local.set $write (i32.add (local.get $write) (i32.const 12)))))
        (if (local.get $measure)
          (then (local.set $sums
            (i32x4.add (local.get $sums)
              (v128.and
                (v128.and
                  (v128.const i32x4 255 255 255 255)
                  (i32x4.gt_s (i32x4.splat (local.get $left)) (v128.const i32x4 0 1 2 3)))
                (f32x4.add
                  (v128.const f32x4 8388608 8388608 8388608 8388608)
                  (f32x4.floor (f32x4.mul (v128.const f32x4 0x1p-16 0x1p-16 0x1p-16 0x1p-16)
                    (f32x4.add
                      (f32x4.add
                        (f32x4.mul (local.get $r) (v128.const f32x4 19595 19595 19595 19595))
                        (f32x4.mul (local.get $g) (v128.const f32x4 38470 38470 38470 38470)))
                      (f32x4.add
                        (f32x4.mul (local.get $b) (v128.const f32x4 7471 7471 7471 7471))
                        (v128.const f32x4 32768 32768 32768 32768)))))))))))
        (local.set $read (i32.add (local.get $read) (i32.const 12)))
        (local.set $left (i32.sub (local.get $left) (i32.const 4)))
        (br_if $next (i32.gt_s (local.get $left) (i32.const 0))))
      (local.set $sum (f64.add (local.get $sum) (f64.convert_i32_u
        (i32.add
          (i32.add (i32x4.extract_lane 0 (local.get $sums)) (i32x4.extract_lane 1 (local.get $sums)))
          (i32.add (i32x4.extract_lane 2 (local.get $sums)) (i32x4.extract_lane 3 (local.get $sums)))))))
      (local.set $from (i32.add (local.get $from) (local.get $from_step)))
      (local.set $to (i32.add (local.get $to) (local.get $to_step)))
      (local.set $row (i32.sub (local.get $row) (i32.const 1)))
      (br_if $next_row (local.get $row)))
    (local.get $sum))

  ;; Sums of bytes by weights of 22 bits after the point. A weight is two halves of 16 bits, the upper one worth 2^11 as
  ;; much, and two taps follow each other: their lower halves, their upper halves. $first holds
  ;; the place of every output position's first tap, in pixels or lines; all have $pairs pairs of taps.

  ;; Filters $lines lines along themselves, to $out pixels each; $to_step leaves room for a byte behind a line.
  (func (export "rows")
    (param $from i32) (param $from_step i32) (param $to i32) (param $to_step i32) (param $lines i32) (param $out i32)
    (param $first i32) (param $weights i32) (param $pairs i32)
    (local $position i32) (local $write i32) (local $read i32) (local $weight i32) (local $tap i32) (local $below i32)
    (local $taps v128) (local $lower v128) (local $upper v128)
    (local $below_taps v128) (local $below_lower v128) (local $below_upper v128) (local $low v128) (local $high v128)
    (loop $next_lines
      ;; Two lines at once share their weights; a last single one is done twice.
      (local.set $below (select (local.get $from_step) (i32.const 0) (i32.gt_s (local.get $lines) (i32.const 1))))
      (local.set $position (i32.const 0))
      (local.set $write (local.get $to))
      (local.set $weight (local.get $weights))
      (loop $next
        (local.set $read
          (i32.add
            (local.get $from)
            (i32.mul
              (i32.load (i32.add (local.get $first) (i32.shl (local.get $position) (i32.const 2))))
              (i32.const 3))))
        (local.set $lower (v128.const i32x4 0x200000 0x200000 0x200000 0x200000))
        (local.set $upper (v128.const i32x4 0 0 0 0))
        (local.set $below_lower (v128.const i32x4 0x200000 0x200000 0x200000 0x200000))
        (local.set $below_upper (v128.const i32x4 0 0 0 0))
        (local.set $tap (local.get $pairs))
        (loop $next_taps
          (local.set $taps (v128.load64_zero (local.get $read)))
          (local.set $taps
            (i8x16.shuffle 0 8 3 8 1 8 4 8 2 8 5 8 8 8 8 8 (local.get $taps) (local.get $taps)))
          (local.set $below_taps (v128.load64_zero (i32.add (local.get $read) (local.get $below))))
          (local.set $below_taps
            (i8x16.shuffle 0 8 3 8 1 8 4 8 2 8 5 8 8 8 8 8 (local.get $below_taps) (local.get $below_taps)))
          (local.set $low (v128.load32_splat (local.get $weight)))
          (local.set $high (v128.load32_splat offset=4 (local.get $weight)))
          (local.set $lower (i32x4.add (local.get $lower) (i32x4.dot_i16x8_s (local.get $taps) (local.get $low))))
          (local.set $upper (i32x4.add (local.get $upper) (i32x4.dot_i16x8_s (local.get $taps) (local.get $high))))
          (local.set $below_lower
            (i32x4.add (local.get $below_lower) (i32x4.dot_i16x8_s (local.get $below_taps) (local.get $low))))
          (local.set $below_upper
            (i32x4.add (local.get $below_upper) (i32x4.dot_i16x8_s (local.get $below_taps) (local.get $high))))
          (local.set $read (i32.add (local.get $read) (i32.const 6)))
          (local.set $weight (i32.add (local.get $weight) (i32.const 8)))
          (local.set $tap (i32.sub (local.get $tap) (i32.const 1)))
          (br_if $next_taps (local.get $tap)))
        (local.set $taps
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s
              (i32x4.add (local.get $lower) (i32x4.shl (local.get $upper) (i32.const 11)))
              (i32.const 22))
            (i32x4.shr_s
              (i32x4.add (local.get $below_lower) (i32x4.shl (local.get $below_upper) (i32.const 11)))
              (i32.const 22))))
        (local.set $taps (i8x16.narrow_i16x8_u (local.get $taps) (local.get $taps)))
        (if (local.get $below)
          (then (v128.store32_lane 1 (i32.add (local.get $write) (local.get $to_step)) (local.get $taps))))
        (v128.store32_lane 0 (local.get $write) (local.get $taps))
        (local.set $write (i32.add (local.get $write) (i32.const 3)))
        (local.set $position (i32.add (local.get $position) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $position) (local.get $out))))
      (local.set $from (i32.add (local.get $from) (i32.shl (local.get $from_step) (i32.const 1))))
      (local.set $to (i32.add (local.get $to) (i32.shl (local.get $to_step) (i32.const 1))))
      (local.set $lines (i32.sub (local.get $lines) (i32.const 2)))
      (br_if $next_lines (i32.gt_s (local.get $lines) (i32.const 0)))))

  ;; Filters lines of $bytes bytes across, to $out lines.
  (func (export "columns")
    (param $from i32) (param $from_step i32) (param $to i32) (param $to_step i32) (param $bytes i32) (param $out i32)
    (param $first i32) (param $weights i32) (param $pairs i32)
    (local $at i32) (local $read i32) (local $weight i32) (local $tap i32)
    (local $above v128) (local $below v128) (local $mixed v128) (local $low v128) (local $high v128)
    (local $lower0 v128) (local $lower1 v128) (local $lower2 v128) (local $lower3 v128)
    (local $upper0 v128) (local $upper1 v128) (local $upper2 v128) (local $upper3 v128)
    (loop $next_line
      (local.set $at (i32.const 0))
      (loop $next
        (local.set $read (i32.add
          (i32.add (local.get $from) (local.get $at))
          (i32.mul (i32.load (local.get $first)) (local.get $from_step))))
        (local.set $lower0 (v128.const i32x4 0x200000 0x200000 0x200000 0x200000))
        (local.set $lower1 (local.get $lower0))
        (local.set $lower2 (local.get $lower0))
        (local.set $lower3 (local.get $lower0))
        (local.set $upper0 (v128.const i32x4 0 0 0 0))
        (local.set $upper1 (local.get $upper0))
        (local.set $upper2 (local.get $upper0))
        (local.set $upper3 (local.get $upper0))
        (local.set $weight (local.get $weights))
        (local.set $tap (local.get $pairs))
        (loop $next_taps
          (local.set $above (v128.load (local.get $read)))
          (local.set $below (v128.load (i32.add (local.get $read) (local.get $from_step))))
          (local.set $low (v128.load32_splat (local.get $weight)))
          (local.set $high (v128.load32_splat offset=4 (local.get $weight)))
          (local.set $mixed (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $above) (local.get $below)))
          (local.set $above
            (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $above) (local.get $below)))
          (local.set $below (i16x8.extend_low_i8x16_u (local.get $mixed)))
          (local.set $lower0 (i32x4.add (local.get $lower0) (i32x4.dot_i16x8_s (local.get $below) (local.get $low))))
          (local.set $upper0 (i32x4.add (local.get $upper0) (i32x4.dot_i16x8_s (local.get $below) (local.get $high))))
          (local.set $below (i16x8.extend_high_i8x16_u (local.get $mixed)))
          (local.set $lower1 (i32x4.add (local.get $lower1) (i32x4.dot_i16x8_s (local.get $below) (local.get $low))))
          (local.set $upper1 (i32x4.add (local.get $upper1) (i32x4.dot_i16x8_s (local.get $below) (local.get $high))))
          (local.set $below (i16x8.extend_low_i8x16_u (local.get $above)))
          (local.set $lower2 (i32x4.add (local.get $lower2) (i32x4.dot_i16x8_s (local.get $below) (local.get $low))))
          (local.set $upper2 (i32x4.add (local.get $upper2) (i32x4.dot_i16x8_s (local.get $below) (local.get $high))))
          (local.set $below (i16x8.extend_high_i8x16_u (local.get $above)))
          (local.set $lower3 (i32x4.add (local.get $lower3) (i32x4.dot_i16x8_s (local.get $below) (local.get $low))))
          (local.set $upper3 (i32x4.add (local.get $upper3) (i32x4.dot_i16x8_s (local.get $below) (local.get $high))))
          (local.set $read (i32.add (local.get $read) (i32.shl (local.get $from_step) (i32.const 1))))
          (local.set $weight (i32.add (local.get $weight) (i32.const 8)))
          (local.set $tap (i32.sub (local.get $tap) (i32.const 1)))
          (br_if $next_taps (local.get $tap)))
        (v128.store (i32.add (local.get $to) (local.get $at))
          (i8x16.narrow_i16x8_u
            (i16x8.narrow_i32x4_s
              (i32x4.shr_s (i32x4.add (local.get $lower0) (i32x4.shl (local.get $upper0) (i32.const 11))) (i32.const 22))
              (i32x4.shr_s (i32x4.add (local.get $lower1) (i32x4.shl (local.get $upper1) (i32.const 11))) (i32.const 22)))
            (i16x8.narrow_i32x4_s
              (i32x4.shr_s (i32x4.add (local.get $lower2) (i32x4.shl (local.get $upper2) (i32.const 11))) (i32.const 22))
              (i32x4.shr_s (i32x4.add (local.get $lower3) (i32x4.shl (local.get $upper3) (i32.const 11))) (i32.const 22)))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $bytes))))
      (local.set $weights (local.get $weight))
      (local.set $first (i32.add (local.get $first) (i32.const 4)))
      (local.set $to (i32.add (local.get $to) (local.get $to_step)))
      (local.set $out (i32.sub (local.get $out) (i32.const 1)))
      (br_if $next_line (local.get $out))))

  ;; Writes pixels as planes of 32-bit floats, each $plane bytes after the one before: the values from 0 to 1, multiplied by
  ;; the f64 at $scales, one per plane, with those behind these added, in 64 bits.
  (func (export "planes")
    (param $from i32) (param $pixels i32) (param $to i32) (param $plane i32) (param $scales i32)
    (local $channel i32) (local $read i32) (local $write i32) (local $end i32)
    (local $values v128) (local $scale v128) (local $shift v128)
    (loop $next_plane
      (local.set $scale (v128.load64_splat (local.get $scales)))
      (local.set $shift (v128.load64_splat offset=24 (local.get $scales)))
      (local.set $read (i32.add (local.get $from) (local.get $channel)))
      (local.set $write (local.get $to))
      (local.set $end (i32.add (local.get $to) (i32.shl (local.get $pixels) (i32.const 2))))
      (loop $next
        (local.set $values
          (f32x4.div
            (f32x4.convert_i32x4_s
              (i8x16.shuffle 0 16 16 16 3 16 16 16 6 16 16 16 9 16 16 16
                (v128.load (local.get $read))
                (v128.const i32x4 0 0 0 0)))
            (v128.const f32x4 255 255 255 255)))
        (v128.store (local.get $write)
          (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
            (f32x4.demote_f64x2_zero
              (f64x2.add
                (f64x2.mul (f64x2.promote_low_f32x4 (local.get $values)) (local.get $scale))
                (local.get $shift)))
            (f32x4.demote_f64x2_zero
              (f64x2.add
                (f64x2.mul
                  (f64x2.promote_low_f32x4
                    (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $values) (local.get $values)))
                  (local.get $scale))
                (local.get $shift)))))
        (local.set $read (i32.add (local.get $read) (i32.const 12)))
        (local.set $write (i32.add (local.get $write) (i32.const 16)))
        (br_if $next (i32.lt_u (local.get $write) (local.get $end))))
      (local.set $to (i32.add (local.get $to) (local.get $plane)))
      (local.set $scales (i32.add (local.get $scales) (i32.const 8)))
      (local.set $channel (i32.add (local.get $channel) (i32.const 1)))
      (br_if $next_plane (i32.lt_u (local.get $channel) (i32.const 3))))))
