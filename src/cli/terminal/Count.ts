/** Large numbers of things in units that fit them. */

/** Formats a number: as it is below a million, else in millions (M) or thousands of millions (G) with three digits. */
export const show = (number: number): string =>
  number < 1e6
    ? String(number)
    : number < 999.5e6
    ? `${(number / 1e6).toPrecision(3)} M`
    : `${(number / 1e9).toPrecision(3)} G`
