import { MantineProvider } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { Redirect, Route, Switch } from 'wouter'
import { Crash } from './common/crash.tsx'
import { HomePage } from './home/home-page.tsx'
import { JobPage } from './job/job-page.tsx'
import { Frame } from './layout/frame.tsx'
import { NowherePage } from './layout/nowhere-page.tsx'
import { OverviewPage } from './overview/overview-page.tsx'
import { SessionProvider } from './session/session.tsx'
import { cssVariables, theme } from './theme.ts'

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <Notifications position="bottom-right" autoClose={6000} />
      <SessionProvider>
        <Frame>
          <Crash>
            <Switch>
              <Route path="/" component={HomePage} />
              <Route path="/jobs">
                <Redirect to="/" replace />
              </Route>
              {/* Another job is another page: nothing of the last one may show through. */}
              <Route path="/jobs/:id">{({ id }) => <JobPage key={id} jobId={id} />}</Route>
              <Route path="/overview" component={OverviewPage} />
              <Route component={NowherePage} />
            </Switch>
          </Crash>
        </Frame>
      </SessionProvider>
    </MantineProvider>
  )
}
