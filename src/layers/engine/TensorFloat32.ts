/**
 * NVIDIA's tf32: a GPU rounds the factors of fp32 products to 10 bits of the fraction, and adds in fp32. TensorFlow computes so
 * unless it is told not to.
 */
import * as Result from "effect/Result"
import koffi from "koffi"

const DRIVER = process.platform === "win32" ? "nvcuda.dll" : "libcuda.so.1"
const COMPUTE_CAPABILITY_MAJOR = 75
const AMPERE = 8

/** Tests whether the first GPU has tf32: NVIDIA's do since Ampere (2020). Without a driver there is none. */
export const isOffered = (driver: string = DRIVER): boolean =>
  Result.getOrElse(
    Result.try(() => {
      const library = koffi.load(driver)
      const attribute = library.func("int cuDeviceGetAttribute(_Out_ int *value, int attribute, int device)")
      const major: [number] = [0]
      const found = library.func("int cuInit(unsigned int flags)")(0) === 0 &&
        attribute(major, COMPUTE_CAPABILITY_MAJOR, 0) === 0
      return found && major[0] >= AMPERE
    }),
    () => false
  )

/**
 * Sets the variable of NVIDIA's libraries. They read it once, so it has to be set before TensorFlow loads. 0 forbids tf32; no other
 * value has a meaning. It works on Linux alone.
 */
export const setVariable = (allowed: boolean): void => {
  const system = koffi.load(null)
  if (allowed) system.func("int unsetenv(str name)")("NVIDIA_TF32_OVERRIDE")
  else system.func("int setenv(str name, str value, int overwrite)")("NVIDIA_TF32_OVERRIDE", "0", 1)
}

/** TensorFlow's own switch, by its names in the versions since 2.13 and before. */
const SWITCHES = ["_ZN3tsl32enable_tensor_float_32_executionEb", "_ZN10tensorflow32enable_tensor_float_32_executionEb"]

/**
 * Turns TensorFlow's own switch, after it has loaded on Linux. The programs that XLA makes obey it; the variable is for NVIDIA's
 * libraries alone. Throws if TensorFlow has no such switch.
 */
export const turnSwitch = (allowed: boolean): void => {
  const framework = koffi.load("libtensorflow_framework.so.2")
  const [first, second] = SWITCHES.map((name) => Result.try(() => framework.func(name, "void", ["bool"])))
  Result.getOrThrow(Result.orElse(first!, () => second!))(allowed)
}
