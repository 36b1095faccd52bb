/** Jobs: runs as durable workflows, in a database that machines share or in a folder of one. */
import "../RequireNode.ts"
export * as Job from "./Job.ts"
export * as Jobs from "./Jobs.ts"
export { JobsError } from "./JobsError.ts"
export * as JobStore from "./JobStore.ts"
export { StageFailed } from "./StageFailed.ts"
export * as Stages from "./Stages.ts"
export * as Worker from "./Worker.ts"
