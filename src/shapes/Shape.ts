/** A shape: a tuple of axis sizes. `[]` is a scalar. Each size is a literal (`768`) or a named `Dim`. */
export type Shape = ReadonlyArray<number>
