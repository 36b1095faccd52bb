/**
 * Arithmetic at compile time: sums, products and quotients of natural numbers that are literal types. It works digit by digit,
 * as on paper. Numbers are strings of digits, with the ones first.
 */

/** The lists whose lengths are the digits. */
interface Counts {
  readonly 0: []
  readonly 1: [1]
  readonly 2: [1, 1]
  readonly 3: [1, 1, 1]
  readonly 4: [1, 1, 1, 1]
  readonly 5: [1, 1, 1, 1, 1]
  readonly 6: [1, 1, 1, 1, 1, 1]
  readonly 7: [1, 1, 1, 1, 1, 1, 1]
  readonly 8: [1, 1, 1, 1, 1, 1, 1, 1]
  readonly 9: [1, 1, 1, 1, 1, 1, 1, 1, 1]
}
type Digit = `${keyof Counts}`
type Count<D extends string> = D extends `${infer N extends keyof Counts}` ? Counts[N] : never

type Reverse<S extends string, R extends string = ""> = S extends `${infer D}${infer T}` ? Reverse<T, `${D}${R}`> : R
type Trim<S extends string> = S extends `0${infer T}` ? T extends "" ? S : Trim<T> : S
type Read<S extends string> = Trim<Reverse<S>> extends `${infer N extends number}` ? N : never
type Written<N extends number> = Reverse<`${N}`>

type Plus<A extends string, B extends string, Carry extends ReadonlyArray<1> = []> = A extends `${infer X}${infer S}`
  ? B extends `${infer Y}${infer T}` ? Column<[...Count<X>, ...Count<Y>, ...Carry]["length"], S, T>
  : Carry extends [] ? A
  : Column<[...Count<X>, 1]["length"], S, "">
  : Carry extends [] ? B
  : Plus<"1", B>
type Column<N, S extends string, T extends string> = `${N & number}` extends `1${infer D extends Digit}`
  ? `${D}${Plus<S, T, [1]>}`
  : `${N & number}${Plus<S, T>}`

/** The difference, never if `B` is larger than `A`. */
type Minus<A extends string, B extends string, Borrow extends ReadonlyArray<1> = []> = A extends `${infer X}${infer S}`
  ? B extends `${infer Y}${infer T}` ? Lessened<X, [...Count<Y>, ...Borrow], S, T>
  : Borrow extends [] ? A
  : Lessened<X, Borrow, S, "">
  : B | Borrow extends "" | [] ? ""
  : never
type Lessened<X extends string, Y extends ReadonlyArray<1>, S extends string, T extends string> = Count<X> extends
  [...Y, ...infer D extends ReadonlyArray<1>] ? `${D["length"]}${Minus<S, T>}`
  : [1, ...Counts[9], ...Count<X>] extends [...Y, ...infer D extends ReadonlyArray<1>]
    ? `${D["length"]}${Minus<S, T, [1]>}`
  : never

/** `D` lists joined to one. */
interface Repeated<C extends ReadonlyArray<1>> {
  readonly 0: []
  readonly 1: C
  readonly 2: [...C, ...C]
  readonly 3: [...C, ...C, ...C]
  readonly 4: [...C, ...C, ...C, ...C]
  readonly 5: [...C, ...C, ...C, ...C, ...C]
  readonly 6: [...C, ...C, ...C, ...C, ...C, ...C]
  readonly 7: [...C, ...C, ...C, ...C, ...C, ...C, ...C]
  readonly 8: [...C, ...C, ...C, ...C, ...C, ...C, ...C, ...C]
  readonly 9: [...C, ...C, ...C, ...C, ...C, ...C, ...C, ...C, ...C]
}

/** `A` times one digit. */
type Row<A extends string, D extends keyof Counts, Carry extends ReadonlyArray<1> = []> = A extends
  `${infer X extends keyof Counts}${infer S}` ? Carried<[...Repeated<Counts[D]>[X], ...Carry]["length"], S, D>
  : Carry extends [] ? ""
  : `${Carry["length"]}`
type Carried<N, S extends string, D extends keyof Counts> = `${N & number}` extends
  `${infer T extends keyof Counts}${infer O extends Digit}` ? `${O}${Row<S, D, Counts[T]>}`
  : `${N & number}${Row<S, D>}`
type Times<A extends string, B extends string> = A extends `${infer X extends keyof Counts}${infer S}`
  ? Plus<Row<B, X>, `0${Times<S, B>}`>
  : ""

/** Long division: the quotient and remainder so far, and the remaining digits of `A` with the ones last. */
type Long<A extends string, B extends string, Rest extends string, Quotient extends string> = A extends
  `${infer D}${infer S}` ? Step<S, B, Without<`${D}${Rest}`, B>, Quotient>
  : [Quotient, Rest]
type Step<S extends string, B extends string, R extends [number, string], Quotient extends string> = Long<
  S,
  B,
  R[1],
  `${R[0]}${Quotient}`
>
type Without<A extends string, B extends string, Taken extends ReadonlyArray<1> = []> = [Minus<A, B>] extends [never]
  ? [Taken["length"], A]
  : Without<Minus<A, B>, B, [...Taken, 1]>

/** `A + B`. */
export type Add<A extends number, B extends number> = Read<Plus<Written<A>, Written<B>>>

/** `A · B`. */
export type Multiply<A extends number, B extends number> = Read<Times<Written<A>, Written<B>>>

/** `A - B`, never if it is negative. */
export type Subtract<A extends number, B extends number> = Read<Minus<Written<A>, Written<B>>>

/** `A / B`, never if there is a remainder. */
export type Divide<A extends number, B extends number> = Long<`${A}`, Written<B>, "", ""> extends
  [infer Q extends string, infer R extends string] ? Read<R> extends 0 ? Read<Q> : never
  : never

/** `A / B`, rounded down. */
export type Quotient<A extends number, B extends number> = Long<`${A}`, Written<B>, "", ""> extends
  [infer Q extends string, string] ? Read<Q>
  : never
