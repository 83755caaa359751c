import type { JobDefinition } from '../index.ts'
import { countdown } from './countdown.ts'
import { render } from './render/render.ts'
import { thumbnails } from './thumbnails.ts'

/** The job types that come with Jobcast, written as a user's own are: against `../index.ts`, which is `jobcast`. */
export const sampleJobs: readonly JobDefinition[] = [thumbnails, render, countdown]
