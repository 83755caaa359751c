import classes from './process-name.module.css'

/** Where a process lives. */
export function ProcessName({ process }: { process: { readonly host: string; readonly pid: number } }) {
  return (
    <>
      {process.host} <span className={classes.pid}>pid {process.pid}</span>
    </>
  )
}
