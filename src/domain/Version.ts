/** The version of this package, as it stands in the provenance of weights and in checkpoints. */
export const version = "0.1.0"
