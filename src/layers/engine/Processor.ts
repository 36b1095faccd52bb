/** What is known of this machine's processor. */
import { existsSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"

const text = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "")

/** How many cores this process may use. Two threads of one core share its arithmetic units: products gain nothing. */
export const physicalCores = (): number => {
  const shared = text("/sys/devices/system/cpu/smt/active").trim() === "1"
  return Math.max(1, Math.floor(availableParallelism() / (shared ? 2 : 1)))
}

/**
 * Whether oneDNN multiplies numbers in fp32 as bf16 when it is asked to: in tiles (AMX) and on Arm. AVX-512's instructions for
 * bf16 it keeps for numbers that are bf16 already. Only Linux says what a processor has.
 */
export const roundsToBf16 = (information = text("/proc/cpuinfo")): boolean =>
  /^(?:flags|Features)\s*:.*\s(?:amx_bf16|bf16)(?:\s|$)/m.test(information)
