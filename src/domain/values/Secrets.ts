/** Secrets in texts from outside, such as the answer of a server that repeats a token, or an address with a password. */

const HIDDEN = "…"

/** Kinds of secrets, with what of them may stay: tokens of services, keys, and passwords in addresses and headers. */
const KINDS: ReadonlyArray<readonly [RegExp, string]> = [
  // The name and the password in an address. Without a colon, the name may itself be a token.
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"'<>]+@/gi, `$1${HIDDEN}@`],
  [/\b(bearer|basic)\s+[\w.~+/-]+=*/gi, `$1 ${HIDDEN}`],
  [/\b(hf|npm|pypi|glpat|gh[opsu]|github_pat|sk)([_-])[\w-]{8,}/g, `$1$2${HIDDEN}`],
  [/\b(AKIA|ASIA)[A-Z0-9]{16}\b/g, `$1${HIDDEN}`],
  [/\b((?:access_)?token|password|passwd|secret|api[_-]?key|signature)=[^\s&"'<>]+/gi, `$1=${HIDDEN}`]
]

/** Replaces the secrets in a text by `…`. */
export const mask = (text: string): string => KINDS.reduce((left, [kind, kept]) => left.replaceAll(kind, kept), text)
