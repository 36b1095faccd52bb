/** Addresses of object storage: of a run, or of a place that has runs below it. */
import { Schema, SchemaTransformation } from "effect"

/** The beginning of an address. */
export const SCHEME = "s3://"

// Such a part leads out of a folder, or is taken away from a path or a URL. Two addresses would then be one folder.
const isPlain = (prefix: string): boolean =>
  prefix === "" || prefix.split("/").every((name) => name !== "" && name !== "." && name !== "..")

/** The parts of `s3://BUCKET/PREFIX`. The prefix may be empty. */
export const Address = Schema.String.check(Schema.isPattern(/^s3:\/\//)).pipe(
  Schema.decodeTo(
    Schema.Struct({
      bucket: Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/)),
      prefix: Schema.String.check(Schema.makeFilter(isPlain))
    }),
    SchemaTransformation.transform({
      decode: (text: string) => {
        const [bucket = "", ...prefix] = text.slice(SCHEME.length).replace(/\/+$/, "").split("/")
        return { bucket, prefix: prefix.join("/") }
      },
      encode: ({ bucket, prefix }) => `${SCHEME}${bucket}${prefix === "" ? "" : `/${prefix}`}`
    })
  )
)
export type Address = typeof Address.Type

/** Hides a name and a password that somebody has written into an address. */
export const masked = (text: string): string => text.replace(/\/\/[^/]*@/, "//***@")
