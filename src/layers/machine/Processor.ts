/** Properties of this machine's processor. */
import { existsSync, readFileSync } from "node:fs"
import { availableParallelism, cpus } from "node:os"

const text = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "")

/**
 * Returns the number of physical cores for this process. Two threads of one core share its arithmetic units, so products
 * gain nothing from the second.
 */
export const physicalCores = (): number => {
  const shared = text("/sys/devices/system/cpu/smt/active").trim() === "1"
  return Math.max(1, Math.floor(availableParallelism() / (shared ? 2 : 1)))
}

/** Describes what machine code for this processor may depend on: its name, its features, and the number of threads. */
export const description = (information = text("/proc/cpuinfo")): string =>
  [cpus()[0]?.model.trim(), availableParallelism(), /^(?:flags|Features)\s*:\s*(.*)$/m.exec(information)?.[1]].join(
    ", "
  )

/**
 * Tests whether oneDNN can round fp32 factors to bf16 for matrix products. It can with AMX tiles and on Arm. It cannot with
 * AVX-512 BF16, which it uses only for inputs that are already bf16. The test works on Linux alone, since other systems do
 * not list these features.
 */
export const roundsToBf16 = (information = text("/proc/cpuinfo")): boolean =>
  /^(?:flags|Features)\s*:.*\s(?:amx_bf16|bf16)(?:\s|$)/m.test(information)
