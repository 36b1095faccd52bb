import { assert, describe, it } from "@effect/vitest"
import * as Secrets from "../../src/domain/values/Secrets.ts"

const planted = [
  ["https://me:pa55word@example.org/simple", "https://…@example.org/simple"],
  ["https://hf_abcdefghij@example.org/", "https://…@example.org/"],
  ["no Bearer hf_abcdefghijklmnop.", "no Bearer …"],
  ["authorization: basic bWU6cGE1NXdvcmQ=", "authorization: basic …"],
  ["HF_TOKEN hf_abcdefghijklmnop", "HF_TOKEN hf_…"],
  ["ghp_0123456789abcdef and github_pat_11ABCDEFG0", "ghp_… and github_pat_…"],
  ["npm_0123456789, pypi-AgEIcHlwaS5v", "npm_…, pypi-…"],
  ["AKIAIOSFODNN7EXAMPLE", "AKIA…"],
  ["https://example.org/x?token=abc&y=1&signature=d", "https://example.org/x?token=…&y=1&signature=…"]
] as const

const plain = [
  "https://example.org/a@b",
  "someone@example.org",
  "runs/one/tokenizer.safetensors",
  "the token is missing, wrong or expired",
  "task_force, disk-usage, hf_x"
]

describe("secrets in a text", () => {
  it.each(planted)("are hidden: %s", (text, shown) => assert.strictEqual(Secrets.mask(text), shown))
  it.each(plain)("are not seen in %s", (text) => assert.strictEqual(Secrets.mask(text), text))
})
