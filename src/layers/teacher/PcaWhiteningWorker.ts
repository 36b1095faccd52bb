/** A worker thread that fits a projection. */
import * as PcaWhitening from "../../domain/method/PcaWhitening.ts"
import * as ThreadAnswer from "../machine/ThreadAnswer.ts"
import type { Work } from "./HogTeacher.ts"

ThreadAnswer.give(({ components, rows, width }: Work) => PcaWhitening.fit(rows, width, components))
