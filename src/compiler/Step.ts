export type { HostOf, Inference, SpecOf, TensorSpec, TrainStep } from "../shapes/Step.ts"
