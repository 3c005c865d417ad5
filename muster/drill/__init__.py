"""Drills: experiments run by pytest, shown while they run, judged by their timelines, drawn in one picture."""
