// What Jobcast can be tried with before there is a job of one's own; each is written as one's own would be.
import { countdown } from './countdown.ts'
import { render } from './render/render.ts'
import { thumbnails } from './thumbnails.ts'

export default [thumbnails, render, countdown]
