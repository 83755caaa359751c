import { countdown } from './countdown.ts'
import type { JobDefinition } from './define-job.ts'
import { render } from './render.ts'
import { thumbnails } from './thumbnails.ts'

/** The job types that come with Jobcast. */
export const shippedJobs: readonly JobDefinition[] = [thumbnails, render, countdown]
